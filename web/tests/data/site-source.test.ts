import { expect, it } from 'vitest'
import { EngineClient } from '../../src/data/engine-client'
import { LIVE_FORMAT } from '../../src/data/live-data'
import { type SiteIndex, SiteSource } from '../../src/data/site-source'
import { type RunList, SourceError } from '../../src/data/source'
import { text } from '../../src/messages/text'
import { FakeWorker, kernels } from './fake-worker'

const index = { version: '1.2', runs: [{ name: 'a' }, { name: 'b' }], files: ['runs/a.data', 'runs/b.data'] }

/** Return the container of a file with one run. */
function container(name: string): ArrayBuffer {
  const runs = [{ run: { name }, network: {}, weights: null, checkpoints: [], studies: [], features: [], targets: [] }]
  const json = new TextEncoder().encode(JSON.stringify({ format: LIVE_FORMAT, version: '1.2', runs, parts: [] }))
  const bytes = new Uint8Array(8 + json.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes.buffer
}

/** A site whose files are listed in `asks`, and fail while `down` is true. */
function site(): { source: SiteSource; requests: string[]; state: { down: boolean } } {
  const requests: string[] = []
  const state = { down: false }
  const answer = <T>(file: string, content: T): Promise<T> => {
    requests.push(file)
    return state.down ? Promise.reject(new SourceError('down', true)) : Promise.resolve(content)
  }
  const files = {
    index: () => answer('runs.json', index as unknown as SiteIndex),
    data: (file: string) => answer(file, container(file.slice(5, 6))),
  }
  return { source: new SiteSource(new EngineClient(() => new FakeWorker(), kernels), files), requests, state }
}

it('reports the list of runs once', async () => {
  const { source } = site()
  const reports: (RunList | null)[] = []
  source.follow((list) => reports.push(list))
  await expect.poll(() => reports).toEqual([index])
})

it('reports nothing after it was stopped', async () => {
  const { source } = site()
  const reports: unknown[] = []
  source.follow((list) => reports.push(list))()
  await source.run('a')
  expect(reports).toEqual([])
})

it('loads the data of a run once, and only when the run is opened', async () => {
  const { source, requests } = site()
  expect((await source.run('b')).name).toBe('b')
  await source.run('b')
  await source.study('b', { study: 'labels' })
  expect(requests).toEqual(['runs.json', 'runs/b.data'])
})

it('refuses a run that the site does not have', async () => {
  const { source, requests } = site()
  await expect(source.run('c')).rejects.toThrow(text('RUN_UNKNOWN', { name: 'c' }))
  expect(requests).toEqual(['runs.json'])
})

it('reports a lost site, and tries again', async () => {
  const { source, state } = site()
  state.down = true
  const reports: unknown[] = []
  source.follow((...report) => reports.push(report))
  await expect.poll(() => reports).toEqual([[null, 'down']])
  await expect(source.run('a')).rejects.toThrow('down')
  state.down = false
  expect((await source.run('a')).name).toBe('a')
})
