// What stands beside the shown network: another run, other weights, another text, or the network without the holds.
import type { Matching } from '../../engine/matching'
import type { Layer, Run, Signal } from '../data/run'
import type { Source, TraceRequest } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Trace } from '../data/trace'
import type { Beside, Pairing } from '../data/view'
import { text } from '../messages/text'
import { counterpart, refusal, vocabularies } from '../model/comparison'
import { maxCharacters } from '../model/first-request'
import type { Picture } from '../model/picture'
import { Latest } from './requests'

/** The other side, B. */
export interface Other {
  beside: Beside
  run: Run
  layer: Layer
  signal: Signal
  text: string
  checkpoint: number | null
  trace: Trace
  /** [neurons, steps]. */
  values: Float32Array
}

/** What is on the screen: side A, and what to put beside it. */
export interface Shown {
  picture: Picture
  signal: Signal
  /** The values of the signal, [neurons, steps]. */
  values: Float32Array
  beside: Beside
  pairing: Pairing
  /** A text that changes with the weights of the other run. */
  stamp: string | null
  /** Why the other run cannot be opened; null if it can. */
  missing: string | null
}

/** A sentence that says why there is no comparison. */
class Refusal extends Error {}

const TOP_SYMBOLS = 3

export class Comparison {
  other = $state.raw<Other | null>(null)
  /** The pairs of neurons of the values on the screen; null by number, and until they are computed. */
  matching = $state.raw<Matching | null>(null)
  /** Why there is no other side. */
  problem = $state<string | null>(null)
  /** Why the neurons are not paired. */
  unmatched = $state<string | null>(null)
  working = $state(false)
  readonly #requests = new Latest()
  #key = ''
  #runs = new Map<string, Run>()
  #matched: { a: Float32Array; b: Float32Array } | null = null

  constructor(private readonly source: Source) {}

  /** Compute the other side of what is on the screen, unless it is there. */
  follow(shown: Shown): void {
    this.#requests.request(async (signal) => {
      this.working = true
      try {
        await this.#load(shown, signal)
        await this.#match(shown)
        this.problem = null
      } catch (error) {
        if (signal.aborted) return
        this.#key = ''
        this.other = null
        this.matching = null
        this.problem = sentenceOf(error)
      }
      this.working = false
    })
  }

  async #load({ picture, signal: shownSignal, beside, stamp, missing }: Shown, signal: AbortSignal): Promise<void> {
    const key = JSON.stringify([
      beside,
      stamp,
      picture.run.name,
      picture.layer.name,
      shownSignal.name,
      picture.text,
      picture.generation,
      beside.kind === 'run' || beside.kind === 'checkpoint' ? null : picture.checkpoint,
    ])
    if (key === this.#key && this.other) return
    if (missing !== null) throw new Refusal(missing)
    if (beside.kind === 'holds' && !picture.holds.length) throw new Refusal(text('COMPARE_NO_HOLDS'))
    const run = beside.kind === 'run' ? await this.#run(beside.name, stamp) : picture.run
    const why = refusal(sideOf(picture.run), sideOf(run))
    if (why !== null) throw new Refusal(why)
    const symbols = vocabularies(picture.run, run)
    if (symbols?.disjoint) throw new Refusal(symbols.sentence)
    const { layer, signal: own } = counterpart(run, picture.layer, shownSignal.name)
    if (!own) throw new Refusal(text('COMPARE_NO_SIGNAL', { layer: layer.name }))
    const words = beside.kind === 'text' ? beside.text : picture.text
    const most = maxCharacters(run)
    if (words.length > most) throw new Refusal(text('COMPARE_TEXT_TOO_LONG', { most, characters: words.length }))
    const checkpoint = beside.kind === 'checkpoint' ? beside.step : beside.kind === 'run' ? null : picture.checkpoint
    const request: TraceRequest = {
      text: words,
      layer: layer.name,
      signals: [own.name],
      neurons: null,
      drives: false,
      top: TOP_SYMBOLS,
      checkpoint,
      // The engine that held the signals computes them without the holds too.
      ...(beside.kind === 'holds' ? { holds: [] } : {}),
    }
    const trace = await this.source.trace(run.name, request, { signal })
    if (beside.kind !== 'text' && trace.steps !== picture.trace.steps)
      throw new Refusal(text('COMPARE_STEPS', { a: picture.trace.steps, b: trace.steps }))
    const values = trace.values(`${layer.name}.${own.name}`) ?? new Float32Array()
    this.other = { beside, run, layer, signal: own, text: words, checkpoint, trace, values }
    this.#key = key
  }

  /** Pair the neurons of both sides by correlation. */
  async #match({ picture, values, beside, pairing }: Shown): Promise<void> {
    const { other } = this
    this.unmatched = null
    if (pairing === 'number' || beside.kind === 'text' || !other) return void (this.matching = this.#matched = null)
    if (this.#matched?.a === values && this.#matched.b === other.values) return
    try {
      this.matching = await this.source.match({ first: values, second: other.values, steps: picture.trace.steps })
      this.#matched = { a: values, b: other.values }
    } catch (error) {
      this.matching = this.#matched = null
      this.unmatched = sentenceOf(error)
    }
  }

  /** Return a run, and get ready for its traces. */
  async #run(name: string, stamp: string | null): Promise<Run> {
    const known = this.#runs.get(name)
    if (known && known.weights_stamp === stamp) return known
    const run = await this.source.run(name)
    if (!run.weights && !run.checkpoints.length && !run.step)
      throw new Refusal(text('COMPARE_NO_WEIGHTS', { run: name }))
    this.source.prepare(name)
    this.#runs.set(name, run)
    return run
  }
}

const sideOf = ({ name, unit, vocabulary }: Run): { name: string; unit: Run['unit']; symbols: number } => ({
  name,
  unit,
  symbols: vocabulary.length,
})
