"use strict";

const path = require("node:path");
const { name, optionalDependencies } = require("./package.json");

const FAMILY = "@acme/chroma";
const suffix = name.slice(FAMILY.length);

function usesMusl() {
  process.report.excludeNetwork = true; // else the report looks up the name of every open connection
  return process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime;
}

function locate() {
  const platform = `${process.platform}-${process.arch}${usesMusl() ? "-musl" : ""}`;
  const wanted = `${FAMILY}-${platform}${suffix}`;
  if (!(wanted in optionalDependencies)) {
    throw new Error(`${name} is not built for ${platform}, only as ${Object.keys(optionalDependencies).join(", ")}`);
  }
  try {
    return path.dirname(require.resolve(`${wanted}/package.json`));
  } catch {
    throw new Error(`${wanted} is not installed; install ${name} again, on this platform and without --omit=optional`);
  }
}

const folder = locate();

module.exports = {
  folder,
  library: path.join(folder, "lib", process.platform === "darwin" ? "libchroma.dylib" : "libchroma.so"),
  staticLibrary: path.join(folder, "lib", "libchroma.a"),
  program: path.join(folder, "bin", "chroma-info"),
};
