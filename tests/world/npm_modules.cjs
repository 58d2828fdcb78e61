// Keeps the code of npm's modules, and where each of them lies, in files beside this one: npm starts in half the time.
//
//   node npm_modules.cjs NPM_FOLDER       writes those files
//   node --require npm_modules.cjs …      takes modules from them
//
// A cache of npm's own source, as node's compile cache is one, but of all modules at once. Whatever it does not hold
// (ES modules, JSON, modules that import dynamically, commands that are not listed here) is loaded as without it.
'use strict'
const { readFileSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const path = require('node:path')
const vm = require('node:vm')

const CODE = path.join(__dirname, 'npm-modules.js')
const COMPILED = path.join(__dirname, 'npm-modules.compiled')
const PLACES = path.join(__dirname, 'npm-modules.json')
// What npm needs before it knows its command, and for a publish.
const NEEDED = ['lib/cli.js', 'lib/cli/entry.js', 'lib/commands/publish.js']
const MODULE_SYNTAX = /\bimport\s*\(|^(import|export)\b/m

const resolveFilename = Module._resolveFilename
const loadScript = Module._extensions['.js']
const keyOf = (request, parent) => `${request}\0${parent?.path}`

function install (script, places) {
  const functions = script.runInThisContext()
  Module._resolveFilename = (request, parent, isMain, options) => {
    const known = isMain || options ? undefined : places[keyOf(request, parent)]
    return known ?? resolveFilename(request, parent, isMain, options)
  }
  Module._extensions['.js'] = (module, filename) => {
    const run = functions[filename]
    if (!run) return loadScript(module, filename)
    const require = id => module.require(id)
    require.resolve = (request, options) => Module._resolveFilename(request, module, false, options)
    require.main = process.mainModule
    require.extensions = Module._extensions
    require.cache = Module._cache
    run.call(module.exports, module.exports, require, module, filename, path.dirname(filename))
  }
}

function write (npm) {
  const places = {}
  const sources = []
  Module._resolveFilename = (request, parent, isMain, options) => {
    const found = resolveFilename(request, parent, isMain, options)
    if (!isMain && !options) places[keyOf(request, parent)] = found
    return found
  }
  Module._extensions['.js'] = (module, filename) => {
    const source = readFileSync(filename, 'utf8')
    if (!MODULE_SYNTAX.test(source)) sources.push([filename, source.replace(/^#!.*/, '')])
    loadScript(module, filename)
  }
  const load = () => NEEDED.forEach(name => require(path.join(npm, name)))
  load()
  const functions = sources.map(([name, source]) =>
    `${JSON.stringify(name)}: function (exports, require, module, __filename, __dirname) {${source}\n}`)
  const code = `({${functions.join(',\n')}})`
  const script = new vm.Script(code, { filename: CODE })
  // Functions that have run are compiled, and only those come into the cache.
  for (const name of Object.keys(Module._cache)) delete Module._cache[name]
  install(script, places)
  load()
  writeFileSync(CODE, code)
  writeFileSync(PLACES, JSON.stringify(places))
  writeFileSync(COMPILED, script.createCachedData())
}

if (require.main === module) {
  write(process.argv[2])
} else {
  const script = new vm.Script(readFileSync(CODE, 'utf8'), { filename: CODE, cachedData: readFileSync(COMPILED) })
  install(script, JSON.parse(readFileSync(PLACES, 'utf8')))
}
