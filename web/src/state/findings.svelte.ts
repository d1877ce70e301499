// The findings of all runs, loaded a few at a time: one slow network does not hold up the others.
import type { Finding } from '../data/findings'
import type { Summary } from '../data/run'
import { type Source, SourceError } from '../data/source'
import { sentenceOf } from '../data/source-error'

const MAX_REQUESTS = 2

/** The findings of a run, or why there are none. */
export interface FindingsOfRun {
  stamp: string
  findings: Finding[]
  problem: string | null
}

/** Loads the findings of runs, those of small networks first, and again when something they are computed from changes. */
export class Findings {
  /** Run -> its findings. */
  byRun = $state.raw<ReadonlyMap<string, FindingsOfRun>>(new Map())
  /** The run of the finding that leads the landing page, with which a tour begins. */
  leadingRun: string | null = null
  #queue: Summary[] = []
  #running = 0
  readonly #requested = new Map<string, string>()

  constructor(readonly source: Source) {}

  /** Load the findings of runs whose weights, labels or scores are new. A run in training has findings when it is done. */
  load(runs: readonly Summary[]): void {
    const names = new Set(runs.map((run) => run.name))
    if ([...this.byRun.keys()].some((name) => !names.has(name)))
      this.byRun = new Map([...this.byRun].filter(([name]) => names.has(name)))
    this.request(runs)
  }

  /** Load the findings of some of the runs. */
  request(runs: readonly Summary[]): void {
    const changed = runs.filter(
      (run) =>
        run.findings_stamp !== null && run.state !== 'training' && this.#requested.get(run.name) !== run.findings_stamp,
    )
    if (!changed.length) return
    for (const run of changed) this.#requested.set(run.name, run.findings_stamp!)
    const others = this.#queue.filter((queued) => !changed.some((run) => run.name === queued.name))
    this.#queue = [...others, ...changed].sort((a, b) => a.weights_bytes - b.weights_bytes)
    while (this.#running < MAX_REQUESTS && this.#queue.length) void this.#work()
  }

  async #work(): Promise<void> {
    this.#running++
    for (let run = this.#queue.shift(); run; run = this.#queue.shift()) {
      const stamp = run.findings_stamp!
      let entry: FindingsOfRun | null = null
      try {
        entry = { stamp, findings: await this.source.findings(run.name), problem: null }
      } catch (error) {
        // The list of runs comes again when the server is back.
        if (error instanceof SourceError && error.lost) this.#requested.delete(run.name)
        else entry = { stamp, findings: [], problem: sentenceOf(error) }
      }
      if (entry && this.#requested.get(run.name) === stamp) this.byRun = new Map(this.byRun).set(run.name, entry)
    }
    this.#running--
  }
}
