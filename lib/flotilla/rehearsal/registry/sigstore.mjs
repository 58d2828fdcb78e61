// Fulcio and Rekor by @sigstore/mock, on a free loopback port. usage: node sigstore.mjs NODE_MODULES
// Prints {"port"} once it listens; ends when its standard input does, so that it never outlives who started it.
import { generateKeyPairSync } from 'node:crypto'
import http from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const mock = createRequire(join(process.argv[2], 'x.js'))('@sigstore/mock')
const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const keys = newKeys()
const handlers = [
  mock.fulcioHandler(await mock.initializeCA(keys, await mock.initializeCTLog(keys)), { strict: true }),
  mock.rekorHandler(await mock.initializeTLog('https://rekor.sigstore.dev', newKeys()), { strict: true }),
]

const server = http.createServer(async (request, response) => {
  const body = []
  for await (const chunk of request) body.push(chunk)
  const handler = handlers.find(({ path }) => path === request.url)
  const answer = handler ? await handler.fn(Buffer.concat(body).toString()) : { statusCode: 404, response: '{}' }
  response.writeHead(answer.statusCode, { 'content-type': answer.contentType ?? 'application/json' }).end(answer.response)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n'))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
