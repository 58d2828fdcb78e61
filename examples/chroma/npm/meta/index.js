"use strict";

const path = require("node:path");
const launcher = require("./launcher.cjs"); // generated: packages.meta.launcher in flotilla.yml

const { folder } = launcher.locate();

module.exports = {
  folder,
  library: path.join(folder, "lib", process.platform === "darwin" ? "libchroma.dylib" : "libchroma.so"),
  staticLibrary: path.join(folder, "lib", "libchroma.a"),
  program: launcher.program().path,
};
