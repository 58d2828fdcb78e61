#!/usr/bin/env node
"use strict";

const { spawnSync } = require("node:child_process");
const { program } = require("./index.js");

process.exitCode = spawnSync(program, process.argv.slice(2), { stdio: "inherit" }).status ?? 1;
