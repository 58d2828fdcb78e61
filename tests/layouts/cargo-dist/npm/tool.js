#!/usr/bin/env node
"use strict";

const { spawnSync } = require("node:child_process");
const { optionalDependencies } = require("./package.json");

const file = process.platform === "win32" ? "bin/tool.exe" : "bin/tool";
// npm has installed the one that is for this machine.
const found = Object.keys(optionalDependencies).flatMap((name) => {
  try {
    return require.resolve(`${name}/${file}`);
  } catch {
    return [];
  }
});
if (!found.length) throw new Error(`there is no tool for ${process.platform} ${process.arch}, or npm left it out`);
process.exitCode = spawnSync(found[0], process.argv.slice(2), { stdio: "inherit" }).status ?? 1;
