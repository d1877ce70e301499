// What a network would predict if one word of the text were another.
import type { Run } from '../data/run'
import type { Progress, Source, Swaps } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Hold } from '../data/view'
import { offsetAfter } from '../model/characters'
import type { Picture } from '../model/picture'

interface Explored {
  readonly source: Source
  readonly run: Run | null
  readonly picture: Picture | null
  readonly text: string
  readonly loader: { readonly holds: readonly Hold[]; readonly checkpoint: number | null }
  type: (text: string, caret: number | null) => void
}

export class Swapping {
  progress = $state.raw<Progress | null>(null)
  #answer = $state.raw<{ run: string; text: string; step: number; swaps: Swaps } | null>(null)
  problem = $state<string | null>(null)
  #stop: AbortController | null = null

  constructor(private readonly explorer: Explored) {}

  /** Whether words of the text can be exchanged: the network predicts classes of symbols. */
  available = $derived.by(() => {
    const { run } = this.explorer
    return run !== null && run.readout.kind === 'classes' && run.unit !== 'number'
  })

  /** Return the answer for a step of the text on the screen; null before the request. */
  at(step: number): Swaps | null {
    const answer = this.#answer
    const { run, text } = this.explorer
    return answer?.step === step && answer.text === text && answer.run === run?.name ? answer.swaps : null
  }

  /** Try every symbol of the vocabulary at a step. */
  async try(step: number): Promise<void> {
    const { run, text, loader } = this.explorer
    if (!run) return
    this.#stop?.abort()
    const stop = (this.#stop = new AbortController())
    this.problem = null
    this.progress = { done: 0, total: run.vocabulary.length }
    try {
      const { holds, checkpoint } = loader
      const request = { text, step, holds, checkpoint }
      const onProgress = (progress: Progress): void => void (this.progress = progress)
      const swaps = await this.explorer.source.swaps(run.name, request, { signal: stop.signal, onProgress })
      if (!stop.signal.aborted) this.#answer = { run: run.name, text, step, swaps }
    } catch (error) {
      if (!stop.signal.aborted) this.problem = sentenceOf(error)
    } finally {
      if (this.#stop === stop) this.progress = null
    }
  }

  stop(): void {
    this.#stop?.abort()
  }

  /** Put another word into the text in place of that of a step. */
  exchange(step: number, symbol: string): void {
    const { run, picture, text } = this.explorer
    const label = picture?.trace.labels[step]
    if (!run || !picture || label === undefined) return
    const from = text.indexOf(label, offsetAfter(picture.trace.labels, text, step, run.unit))
    if (from >= 0) this.explorer.type(text.slice(0, from) + symbol + text.slice(from + label.length), null)
  }
}
