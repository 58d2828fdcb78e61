"use strict";

const { execFileSync } = require("node:child_process");

const file = process.platform === "win32" ? "bundle.exe" : "bin/bundle";

exports.program = require.resolve(`@acme-bundle/${process.platform}-${process.arch}/${file}`);
exports.version = () => execFileSync(exports.program, ["--version"], { encoding: "utf8" }).trim();
