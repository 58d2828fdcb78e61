#!/usr/bin/env node
"use strict";

const { spawnSync } = require("node:child_process");
const { name } = require("./package.json");

const file = process.platform === "win32" ? "tool.exe" : "tool";
const program = require.resolve(`${name}-${process.platform}-${process.arch}/${file}`);
process.exitCode = spawnSync(program, process.argv.slice(2), { stdio: "inherit" }).status ?? 1;
