// A verdaccio on a free loopback port. usage: node verdaccio.mjs NODE_MODULES STORAGE
// FLOTILLA_UPSTREAM holds, as JSON, names that are never read from elsewhere and the registry of each scope ("": of all others).
// Prints {"port"} once it listens; ends when its standard input does, so that it never outlives who started it.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [modules, storage] = process.argv.slice(2)
const { own = [], registries = {}, strict_ssl = true } = JSON.parse(process.env.FLOTILLA_UPSTREAM || '{}')
const { runServer } = createRequire(join(modules, 'x.js'))('verdaccio')
const open = { access: '$all', publish: '$all' } // who may publish is the front's to say
const uplinks = {}
const packages = Object.fromEntries(own.map((name) => [name, open])) // the first that fits counts, so these come first
for (const [scope, url] of Object.entries(registries).sort().reverse()) { // "" comes last
  const uplink = scope || 'default'
  uplinks[uplink] = { url, strict_ssl, maxage: '1d', timeout: '30s' }
  packages[scope ? `${scope}/*` : '**'] = { ...open, proxy: uplink }
}
packages['**'] ??= open
const server = await runServer({
  self_path: storage,
  storage: join(storage, 'packages'),
  auth: { htpasswd: { file: join(storage, 'htpasswd') } },
  uplinks,
  packages,
  max_body_size: '2gb',
  web: { enable: false },
  log: { type: 'stdout', format: 'json', level: 'fatal' },
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n'))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
