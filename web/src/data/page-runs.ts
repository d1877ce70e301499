// The runs that were trained in the page: the engine in the browser answers for them, as for those of a live file.
import type { EngineClient } from './engine-client'
import { LIVE_FORMAT, LiveFile, type LiveRun, type TrainedRun } from './live-data'
import { LocalSource } from './local-source'
import type { Source } from './source'
import { text } from '../messages/text'

/** The requests of a source about one run. */
const REQUESTS = [
  'run',
  'findings',
  'prepare',
  'stars',
  'trace',
  'check',
  'continuation',
  'completions',
  'swaps',
  'study',
  'features',
  'arrays',
  'chain',
  'weightPaths',
] as const

export class PageRuns {
  readonly #sources = new Map<string, LocalSource>()

  /** Let a source answer for the runs of the page too. */
  constructor(
    source: Source,
    private readonly engine: EngineClient,
  ) {
    for (const request of REQUESTS) {
      type Answer = (name: string, ...rest: unknown[]) => unknown
      const ofSource = (source[request] as Answer).bind(source)
      const answer: Answer = (name, ...rest) => {
        const own = this.#sources.get(name)
        return own ? (own[request] as Answer)(name, ...rest) : ofSource(name, ...rest)
      }
      Object.defineProperty(source, request, { value: answer, configurable: true })
    }
  }

  /** Add a run, instead of one with the same name. */
  add(trained: TrainedRun): void {
    const missing = (): string => text('PLAYGROUND_NOT_COMPUTED')
    this.#sources.set(trained.run.name, new LocalSource(this.engine, fileOf(trained), missing))
  }
}

/** Return a run as the data of a live file. */
function fileOf({ run, network, weights, checkpoints }: TrainedRun): LiveFile {
  const contents = [weights, ...checkpoints.map((checkpoint) => checkpoint.weights)]
  const parts: [number, number][] = []
  let end = 0
  for (const { byteLength } of contents) {
    parts.push([end, byteLength])
    end += byteLength
  }
  const bytes = new Uint8Array(end)
  contents.forEach((content, k) => bytes.set(new Uint8Array(content), parts[k]![0]))
  const live: LiveRun = {
    run,
    network,
    weights: 0,
    checkpoints: checkpoints.map(({ step }, k) => ({ step, weights: k + 1 })),
    studies: [],
    stars: undefined,
    features: [],
    targets: [],
    task: null,
    training: null,
  }
  return new LiveFile({ format: LIVE_FORMAT, version: '', runs: [live], parts }, bytes.buffer, 0)
}
