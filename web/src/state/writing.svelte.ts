// What the network writes behind the text and in branches of it. It follows the text as soon as the text pauses.
import type { Layer, Run, Signal } from '../data/run'
import type { ContinueRequest, Progress, Source, Waiting } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Branch, Hold, ViewState } from '../data/view'
import type { Code } from '../messages/text'
import {
  type BranchRow,
  type Continuation,
  type Ghost,
  idOfSymbol,
  readContinuation,
  remainder,
} from '../model/continuation'
import type { Picture } from '../model/picture'
import { isSameBranch } from './branch-address'
import { Completing } from './completing.svelte'
import { remember, remembered } from '../messages/remembered'
import { Swapping } from './swapping.svelte'
import { DEFAULT_LENGTH, type Settings } from './writing-settings'

const REMEMBERED = 'gatescope.writes'
/** The text has paused when it has not changed for so long. */
const PAUSE_MS = 200
/** Up to so many values, those of all signals are requested, so that no change of the signal has to wait. */
const MAX_ALL_VALUES = 1 << 18
const CACHED_CONTINUATIONS = 24

/** What is read of the explorer. */
interface Explored {
  readonly source: Source
  readonly state: ViewState
  readonly run: Run | null
  readonly picture: Picture | null
  readonly shownSignal: Signal | null
  readonly text: string
  readonly hasWeights: boolean
  readonly loader: { readonly holds: readonly Hold[]; readonly checkpoint: number | null }
  go: (change: Partial<ViewState>) => void
  type: (text: string, caret: number | null) => void
}

/** An answer of the engine, and its request. */
interface Answer {
  key: string
  run: string
  text: string
  holds: readonly Hold[]
  /** Null if only branches are written. */
  main: Continuation | null
  /** What the network writes without the holds; null if nothing is held. */
  unheld: string | null
  branches: { branch: Branch; shared: number; continuation: Continuation }[]
}

/** Why a network writes nothing: it does not predict the next symbol from what came before it. */
export function reasonNotToWrite({ readout, layers }: Run): Code | null {
  if (readout.kind === 'classes') return 'WRITE_NOT_CLASSES'
  if (readout.kind === 'numbers') return 'WRITE_NOT_NUMBERS'
  if (readout.reads !== 'every step') return 'WRITE_NOT_ONCE'
  return layers.some(({ reverse }) => reverse) ? 'WRITE_NOT_BOTH_WAYS' : null
}

export class Writing {
  working = $state(false)
  #problem = $state.raw<{ key: string; sentence: string } | null>(null)
  #answer = $state.raw<Answer | null>(null)
  #isRemembered = $state(remembered(REMEMBERED) !== 'no')
  /** Grows when the reader wants to see what the network wrote. */
  reveal = $state(0)
  #stop: AbortController | null = null
  /** What ends the writing under way, and keeps what is written. */
  #finish: () => void = () => undefined
  readonly #cache = new Map<string, Continuation>()

  readonly completing: Completing
  readonly swapping: Swapping

  constructor(
    private readonly source: Source,
    private readonly explorer: Explored,
  ) {
    this.completing = new Completing(explorer)
    this.swapping = new Swapping(explorer)
  }

  /** Why the network cannot write; null if it can. */
  reason = $derived.by(() => (this.explorer.run ? reasonNotToWrite(this.explorer.run) : null))
  available = $derived.by(() => this.explorer.run !== null && this.reason === null)
  /** Whether the network writes behind the text. */
  on = $derived.by(() => this.available && (this.explorer.state.write ?? Number(this.#isRemembered)) > 0)
  settings = $derived.by<Settings>(() => {
    const { write, temperature, seed } = this.explorer.state
    return { length: write || DEFAULT_LENGTH, temperature: temperature ?? 0, seed: seed ?? 0 }
  })
  /** The signals of the layer on the screen that are requested. */
  #signals = $derived.by<string[]>(() => {
    const { picture, shownSignal } = this.explorer
    const layer: Layer | undefined = picture?.layer
    if (!layer || !shownSignal) return []
    const all = layer.neurons * layer.signals.length * this.settings.length
    return all <= MAX_ALL_VALUES ? layer.signals.map(({ name }) => name) : [shownSignal.name]
  })
  /** What is to be written, as a text that differs if anything does; null if nothing is, or the text is still read. */
  #wanted = $derived.by<string | null>(() => {
    const { run, picture, state, text, hasWeights, loader } = this.explorer
    const hasWork = this.on || (this.available && state.write !== 0 && state.branches.length > 0)
    if (!hasWork || !run || !hasWeights || state.view !== 'network') return null
    if (picture?.text !== text || picture.run.name !== run.name) return null
    const { holds, checkpoint } = loader
    const { settings, on } = this
    const parts = { run: run.name, text, checkpoint, holds, ...settings, on, branches: state.branches }
    return JSON.stringify({
      ...parts,
      stamp: run.weights_stamp ?? null,
      layer: picture.layer.name,
      signals: this.#signals,
    })
  })
  /** What went wrong with what is wanted now. */
  problem = $derived.by(() => (this.#problem?.key === this.#wanted ? (this.#problem?.sentence ?? null) : null))
  /** The answer for the text on the screen. */
  #shown = $derived.by<Answer | null>(() => {
    const { run, text, state } = this.explorer
    const answer = this.#answer
    return answer?.run === run?.name && answer?.text === text && state.view === 'network' ? answer : null
  })
  /** What the network wrote behind the text; while its symbols are typed, what is left of it. */
  ghost = $derived.by<Ghost | null>(() => {
    const { run, text, state, picture } = this.explorer
    const answer = this.#answer
    if (!this.on || !answer?.main || !run || answer.run !== run.name || state.view !== 'network') return null
    const skip = remainder(run, answer.main, answer.text, text)
    return skip === null || !picture ? null : { continuation: answer.main, skip, from: picture.trace.steps }
  })
  /** The branches, each from its first symbol on. */
  branches = $derived.by<BranchRow[]>(() => {
    const { state } = this.explorer
    return (this.#shown?.branches ?? [])
      .filter(({ branch }) => state.branches.some((other) => isSameBranch(other, branch)))
      .map(({ branch, shared, continuation }) => ({ branch, continuation, skip: shared, from: branch.step + 1 }))
  })
  /** What it wrote behind the text on the screen, with what it would write without the holds. */
  written = $derived.by(() => {
    const answer = this.on ? this.#shown : null
    return answer?.main ? { continuation: answer.main.text, unheld: answer.unheld, holds: answer.holds } : null
  })
  /** The id of the most probable symbol after the text; null while it is not known. */
  next = $derived.by<number | null>(() => {
    const { ghost, settings } = this
    if (!ghost) return null
    if (ghost.skip === 0) return ghost.continuation.next
    return settings.temperature === 0 ? (ghost.continuation.trace.token[ghost.skip] ?? null) : null
  })

  /** Write what is wanted, as soon as the text pauses. Returns what gives that up; for an effect. */
  follow(): () => void {
    const key = this.#wanted
    if (key === null || key === this.#answer?.key) return () => undefined
    const isOtherText = this.#shown === null
    const timer = setTimeout(() => void this.#write(key), isOtherText ? PAUSE_MS : 0)
    return () => {
      clearTimeout(timer)
      this.#stop?.abort()
    }
  }

  /** Stop: the length becomes that of what was written so far, which is not written again. */
  stop(): void {
    this.#finish()
  }

  /** Turn writing on or off; this browser remembers it. */
  turn(on: boolean): void {
    this.#isRemembered = on
    remember(REMEMBERED, on ? 'yes' : 'no')
    this.explorer.go({ write: on ? null : 0 })
  }

  /** Let the network write, and bring what it wrote into sight. */
  show(): void {
    if (!this.on) this.turn(true)
    this.reveal++
  }

  choose(change: Partial<Settings>): void {
    const { length, temperature, seed } = { ...this.settings, ...change }
    this.explorer.go({
      write: length === DEFAULT_LENGTH && this.#isRemembered ? null : length,
      temperature: temperature === 0 ? null : temperature,
      seed: seed === 0 ? null : seed,
    })
  }

  async #write(key: string): Promise<void> {
    const { run, text, state, loader, picture } = this.explorer
    if (!run || !picture) return
    this.#stop?.abort()
    const stop = (this.#stop = new AbortController())
    const { length, temperature, seed } = this.settings
    const { holds, checkpoint } = loader
    const base = {
      text,
      length,
      temperature,
      seed,
      checkpoint,
      holds,
      layer: picture.layer.name,
      signals: this.#signals,
    }
    const stamp = `${run.name} ${run.weights_stamp ?? ''}`
    const ask = (change: Partial<ContinueRequest>, waiting: Waiting = {}): Promise<Continuation> =>
      this.#ask(run.name, stamp, { ...base, ...change }, { signal: stop.signal, ...waiting })
    const wantsMain = this.on
    const enough = new AbortController()
    this.#finish = () => stop.abort()
    // The text is read before, with a progress of its own; only then is there something to keep.
    const onProgress = ({ total }: Progress): void => {
      if (total === length && this.#stop === stop) this.#finish = () => enough.abort()
    }
    const answer: Answer = { key, run: run.name, text, holds, main: null, unheld: null, branches: [] }
    const keep = (main: Continuation): Continuation => {
      const { steps } = main.trace
      if (enough.signal.aborted && steps < length) {
        // The same symbols are the answer to a request for so many.
        this.#cache.delete(stamp + JSON.stringify(base))
        this.#cache.set(stamp + JSON.stringify({ ...base, length: steps }), main)
        stop.abort()
        this.choose({ length: steps })
      } else {
        this.#finish = () => {
          stop.abort()
          this.#answer = { ...answer, main }
        }
        if (enough.signal.aborted) this.#finish()
      }
      return main
    }
    this.working = true
    try {
      const [main, free] = await Promise.all([
        wantsMain ? ask({}, { enough: enough.signal, onProgress }).then(keep) : null,
        wantsMain && holds.length ? ask({ holds: [], signals: [] }) : null,
      ])
      const branches = await Promise.all(
        state.branches.map((branch) => this.#branch(run, picture.trace.steps, branch, main, ask)),
      )
      if (stop.signal.aborted) return
      const written = branches.filter((one) => one !== null)
      this.#answer = { ...answer, main, unheld: free?.text ?? null, branches: written }
    } catch (error) {
      if (stop.signal.aborted) return
      this.#answer = null
      this.#problem = { key, sentence: sentenceOf(error) }
    } finally {
      if (this.#stop === stop) this.working = false
    }
  }

  /** Return a branch with what the network writes in it; null where the network has not written so far. */
  async #branch(
    run: Run,
    steps: number,
    branch: Branch,
    main: Continuation | null,
    ask: (change: Partial<ContinueRequest>) => Promise<Continuation>,
  ): Promise<Answer['branches'][number] | null> {
    const read = branch.step + 1
    const shared = Math.max(0, read - steps)
    if (shared > (main?.trace.steps ?? 0)) return null
    const then = [...(main?.trace.token.subarray(0, shared) ?? []), idOfSymbol(run, branch.symbol)]
    const continuation = await ask({ steps: read < steps ? read : null, then })
    return { branch, shared, continuation }
  }

  async #ask(run: string, stamp: string, request: ContinueRequest, waiting: Waiting): Promise<Continuation> {
    const key = stamp + JSON.stringify(request)
    const cached = this.#cache.get(key)
    const answer = cached ?? readContinuation(await this.source.continuation(run, request, waiting))
    this.#cache.delete(key)
    this.#cache.set(key, answer)
    for (const oldest of this.#cache.keys()) if (this.#cache.size > CACHED_CONTINUATIONS) this.#cache.delete(oldest)
    return answer
  }
}
