// A verdaccio on a free loopback port. usage: node verdaccio.mjs NODE_MODULES STORAGE
// Prints {"port"} once it listens; ends when its standard input does, so that it never outlives who started it.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [modules, storage] = process.argv.slice(2)
const { runServer } = createRequire(join(modules, 'x.js'))('verdaccio')
const server = await runServer({
  self_path: storage,
  storage: join(storage, 'packages'),
  auth: { htpasswd: { file: join(storage, 'htpasswd') } },
  uplinks: {},
  packages: { '**': { access: '$all', publish: '$all' } }, // who may publish is the front's to say
  max_body_size: '2gb',
  web: { enable: false },
  log: { type: 'stdout', format: 'json', level: 'fatal' },
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n'))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
