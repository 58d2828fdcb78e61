// What actions/download-artifact does with `run-id` and `github-token`: list a run's artifacts, download five at a time,
// compare each with its digest, unpack the zip. usage: node download.mjs FOLDER (see client.py for the variables)
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const { MODULES, RUN_ID, GITHUB_TOKEN, GITHUB_REPOSITORY } = process.env
const entry = path.join(MODULES, '@actions/artifact/lib/artifact.js')
const { DefaultArtifactClient } = await import(pathToFileURL(entry))
const [repositoryOwner, repositoryName] = GITHUB_REPOSITORY.split('/')
const findBy = { token: GITHUB_TOKEN, workflowRunId: Number(RUN_ID), repositoryOwner, repositoryName }
const client = new DefaultArtifactClient()
const { artifacts } = await client.listArtifacts({ latest: false, findBy })
while (artifacts.length) {
  await Promise.all(artifacts.splice(0, 5).map(async ({ id, name, digest }) => {
    const options = { path: path.join(process.argv[2], name), findBy, expectedHash: digest }
    const { digestMismatch } = await client.downloadArtifact(id, options)
    if (digestMismatch) throw new Error(`${name} has another digest`)
  }))
}
