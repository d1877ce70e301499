// What is known about the neurons of a run, and what is being found out: labels, effects, health, places, features.
import type { Feature, Track } from '../data/features'
import { type Source, SourceError } from '../data/source'
import { type AboutNeuron, type Places, rows, type StudyRequest, type Table } from '../data/study'
import { type Effect, effects } from '../model/effects'
import { type Health, healthOf, type Saturated } from '../model/health'
import { Labels } from '../model/labels'
import { Latest } from './requests'

const POLL = 500

export type State = 'unknown' | 'none' | 'working' | 'done' | 'failed'

/** One question to the server, asked again and again until it is answered. */
export class Study<T> {
  state = $state<State>('unknown')
  /** What is being done, or the sentence that says why it cannot be, or why what is there cannot be read. */
  words = $state('')
  /** 0 to 1; null where it cannot be told. */
  share = $state<number | null>(null)
  value = $state.raw<T | null>(null)
  /** Whether the answer is about weights that have changed since. */
  stale = $state(false)
  #asked = ''
  #token = 0

  constructor(
    readonly source: Source,
    readonly read: (result: unknown) => T,
  ) {}

  /** Asks, unless just that was asked; `again` asks all the same. What was known stays until there is something new. */
  ask(run: string, request: StudyRequest, start: boolean, again = false): void {
    const asked = JSON.stringify([run, request])
    if (asked === this.#asked && !again) return
    if (asked !== this.#asked) {
      this.state = 'unknown'
      this.stale = false
    }
    this.#asked = asked
    void this.#follow(++this.#token, run, request, start)
  }

  forget(): void {
    this.#token++
    this.#asked = ''
    this.state = 'unknown'
    this.value = null
  }

  async #follow(token: number, run: string, request: StudyRequest, start: boolean): Promise<void> {
    for (;;) {
      let answer
      try {
        answer = await this.source.study(run, request, start)
      } catch (error) {
        if (token !== this.#token) return
        if (error instanceof SourceError && error.lost) {
          this.state = 'unknown'
          this.#asked = ''
          return
        }
        answer = { state: 'failed' as const, error: error instanceof Error ? error.message : String(error) }
      }
      if (token !== this.#token) return
      this.state = answer.state
      if (answer.state === 'failed') this.words = answer.error
      if (answer.state === 'none') this.words = answer.problem ?? ''
      if (answer.state === 'failed' || answer.state === 'none') this.value = null
      if (answer.state === 'done') {
        this.value = this.read(answer.result)
        this.stale = answer.stale
      }
      if (answer.state !== 'working') return
      this.words = answer.doing
      this.share = answer.total ? answer.done / answer.total : null
      start = false
      await new Promise((done) => setTimeout(done, POLL))
      if (token !== this.#token) return
    }
  }
}

export class Findings {
  readonly labels: Study<Labels>
  readonly effects: Study<Map<string, Effect>>
  readonly health: Study<{ neurons: Health[]; gates: Saturated[] }>
  readonly neuron: Study<AboutNeuron>
  readonly places: Study<Places>
  features = $state.raw<Feature[]>([])
  /** The chosen feature over the text for which it was asked. */
  track = $state.raw<{ run: string; text: string; feature: string; track: Track | null } | null>(null)
  #run: string | null = null
  readonly #tracks = new Latest()

  constructor(readonly source: Source) {
    this.labels = new Study(source, (result) => new Labels((result as { labels: Table }).labels))
    this.effects = new Study(source, (result) => effects((result as { ablation: Table }).ablation))
    this.health = new Study(source, (result) => {
      const { health, saturation } = result as { health: Table; saturation: Table }
      return { neurons: healthOf(health), gates: rows(saturation) as unknown as Saturated[] }
    })
    this.neuron = new Study(source, (result) => result as AboutNeuron)
    this.places = new Study(source, (result) => result as Places)
  }

  /** Looks what is known of a run already. `again`: its weights are newer than they were. */
  look(run: string, again: boolean): void {
    if (run !== this.#run)
      for (const study of [this.labels, this.effects, this.health, this.neuron, this.places]) study.forget()
    this.#run = run
    if (this.labels.state !== 'working') this.labels.ask(run, { study: 'labels' }, false, again)
    if (this.effects.state !== 'working') this.effects.ask(run, { study: 'ablation' }, false, again)
  }

  /** Begins a study; `keep` writes its answer into the run directory, where the command line finds it. */
  find(run: string, study: 'labels' | 'ablation' | 'health', keep: boolean): void {
    const which = { labels: this.labels, ablation: this.effects, health: this.health }[study]
    which.ask(run, { study, keep }, true, true)
  }

  /** Fetches the list of features, and the chosen one over the text. */
  annotate(run: string, text: string, feature: string | null): void {
    const now = this.track
    if (feature !== null && now?.run === run && now.text === text && now.feature === feature) return
    this.#tracks.ask(async () => {
      try {
        const { features, tracks } = await this.source.features(run, text, feature === null ? [] : [feature])
        this.features = features
        if (feature !== null) this.track = { run, text, feature, track: tracks[0] ?? null }
      } catch {
        // The page says so already where the text itself cannot be read.
        if (feature !== null) this.track = { run, text, feature, track: null }
      }
    })
  }
}
