// Preloaded into npm. Notes what servers answer, since npm prints no headers and Retry-After is one.
// It only listens (node's diagnostics_channel); requests, their headers and bodies are left alone.
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'

const file = process.env.FLOTILLA_ANSWERS
const note = (request, more) => {
  const path = String(request.path).split('?')[0]
  try {
    appendFileSync(file, JSON.stringify({ method: request.method, host: request.host, path, ...more }) + '\n')
  } catch { /* a publish must not fail for want of a note */ }
}

if (file) {
  subscribe('http.client.response.finish', ({ request, response }) =>
    note(request, { status: response.statusCode, after: response.headers['retry-after'] }))
  subscribe('http.client.request.error', ({ request, error }) => note(request, { failed: String(error.code) }))
}
