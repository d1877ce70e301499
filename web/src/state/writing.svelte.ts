// What the network writes behind the text: the settings, the continuation, and the one without the holds.
import { type ContinueRequest, type Source, SourceError } from '../data/source'
import type { Hold } from '../data/view'
import { type Code, text } from '../messages/text'
import type { Loader } from './loader.svelte'

export const MAX_WRITTEN_SYMBOLS = 1000
export const MAX_TEMPERATURE = 100
export const MAX_SEED = Number.MAX_SAFE_INTEGER

/** The settings as they stand in their boxes. */
export interface Settings {
  length: string
  temperature: string
  seed: string
}

export interface Written {
  run: string
  text: string
  checkpoint: number | null
  /** A text that changes with the weights. */
  stamp: string | null
  holds: readonly Hold[]
  continuation: string
  /** What the network writes without the holds; null if nothing is held. */
  unheld: string | null
}

const isIn = (value: string, low: number, high: number, whole: boolean): boolean => {
  const number = Number(value)
  return value.trim() !== '' && number >= low && number <= high && (!whole || Number.isSafeInteger(number))
}

/** Return what is wrong with settings: a sentence and its largest value; null if nothing is. */
export function settingsProblem({ length, temperature, seed }: Settings): [Code, number] | null {
  if (!isIn(length, 1, MAX_WRITTEN_SYMBOLS, true)) return ['WRITE_WRONG_LENGTH', MAX_WRITTEN_SYMBOLS]
  if (!isIn(temperature, 0, MAX_TEMPERATURE, false)) return ['WRITE_WRONG_TEMPERATURE', MAX_TEMPERATURE]
  return isIn(seed, 0, MAX_SEED, true) ? null : ['WRITE_WRONG_SEED', MAX_SEED]
}

export class Writing {
  settings = $state<Settings>({ length: '40', temperature: '0', seed: '0' })
  working = $state(false)
  #problem = $state.raw<{ text: string; sentence: string } | null>(null)
  #written = $state.raw<Written | null>(null)
  #requests = 0

  constructor(
    private readonly source: Source,
    private readonly loader: Loader,
  ) {}

  /** Whether the network predicts the next symbol after every step, from what came before it. */
  available = $derived.by(() => {
    const { run } = this.loader
    const { kind, reads } = run?.readout ?? {}
    return kind === 'symbols' && reads === 'every step' && !run!.layers.some(({ reverse }) => reverse)
  })
  /** What went wrong with the text on the screen. */
  problem = $derived.by(() => (this.#problem?.text === this.loader.text ? this.#problem.sentence : null))
  /** What it wrote behind the text on the screen. */
  written = $derived.by<Written | null>(() => {
    const { run, text } = this.loader
    return this.#written?.run === run?.name && this.#written?.text === text ? this.#written : null
  })
  /** Whether what it wrote is no longer what the network writes, because the holds or the weights changed. */
  stale = $derived.by(() => {
    const { written, loader } = this
    if (!written) return false
    return (
      written.checkpoint !== loader.checkpoint ||
      written.stamp !== (loader.run?.weights_stamp ?? null) ||
      JSON.stringify(written.holds) !== JSON.stringify(loader.holds)
    )
  })

  /** Let the network write. A newer call replaces one that is still under way. */
  async write(): Promise<void> {
    const { run, text: before, checkpoint, holds } = this.loader
    if (!run || !this.available || !this.loader.hasWeights) return
    const number = ++this.#requests
    const wrong = settingsProblem(this.settings)
    const report = (sentence: string): void => void (this.#problem = { text: before, sentence })
    this.#problem = null
    if (wrong) return report(text(wrong[0], { most: wrong[1].toLocaleString('en-US') }))
    const { length, temperature, seed } = this.settings
    const request: ContinueRequest = {
      text: before,
      length: Number(length),
      temperature: Number(temperature),
      seed: Number(seed),
      checkpoint,
      holds: [],
    }
    this.working = true
    try {
      const [continuation, unheld] = await Promise.all([
        this.source.continuation(run.name, { ...request, holds }),
        holds.length ? this.source.continuation(run.name, request) : null,
      ])
      if (number === this.#requests) {
        const stamp = run.weights_stamp ?? null
        this.#written = { run: run.name, text: before, checkpoint, stamp, holds, continuation, unheld }
      }
    } catch (error) {
      if (number === this.#requests) {
        this.#written = null
        report(error instanceof SourceError ? error.problem : String(error))
      }
    }
    if (number === this.#requests) this.working = false
  }

  /** Forget what it wrote, and what went wrong. */
  remove(): void {
    this.#requests++
    this.#written = null
    this.#problem = null
    this.working = false
  }
}
