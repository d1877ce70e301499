// The studies of a run: their progress and answers (labels, effects, health, one neuron, places), and features.
import type { Feature, Track } from '../data/features'
import { type Source, SourceError, UnavailableError } from '../data/source'
import { sentenceOf } from '../data/source-error'
import {
  type AboutNeuron,
  type CardPassages,
  type Distributions,
  type Places,
  rows,
  type Snapshot,
  type StudyRequest,
  type Table,
} from '../data/study'
import { type Effect, effects } from '../model/effects'
import { activity } from '../model/activities'
import { type Health, healthOf, type Saturated } from '../model/health'
import { Labels } from '../model/labels'
import { Latest } from './requests'

const POLL_MS = 500

export type StudyState = 'unknown' | 'none' | 'working' | 'done' | 'failed' | 'unavailable'

/** One study: its request is repeated until the server has the answer. */
export class Study<T> {
  state = $state<StudyState>('unknown')
  /** The present step of the work, or the reason why there is no answer. */
  message = $state('')
  /** Share of the work that is done, 0 to 1; null when unknown. */
  progress = $state<number | null>(null)
  value = $state.raw<T | null>(null)
  /** Whether the answer is about weights that have changed since. */
  stale = $state(false)
  #key = ''
  #run = ''
  #requestNumber = 0

  constructor(
    readonly source: Source,
    readonly read: (result: unknown) => T,
  ) {}

  /**
   * Request the answer, unless the same was requested last. The former answer stays until there is a new one.
   *
   * @param start begin the study if there is no answer yet; otherwise only look for one
   * @param again request it even if the same was requested last
   */
  request(run: string, request: StudyRequest, start: boolean, again = false): void {
    // Whether the answer is saved does not change the answer.
    const key = JSON.stringify([run, { ...request, keep: undefined }])
    if (key === this.#key && !again) return
    if (key !== this.#key) {
      this.state = 'unknown'
      this.stale = false
    }
    if (run !== this.#run) this.value = null
    this.#run = run
    this.#key = key
    void this.#poll(++this.#requestNumber, run, request, start)
  }

  clear(): void {
    this.#requestNumber++
    this.#key = ''
    this.state = 'unknown'
    this.value = null
  }

  async #poll(requestNumber: number, run: string, request: StudyRequest, start: boolean): Promise<void> {
    for (;;) {
      let answer
      try {
        answer = await this.source.study(run, request, start)
      } catch (error) {
        if (requestNumber !== this.#requestNumber) return
        if (error instanceof SourceError && error.lost) {
          this.state = 'unknown'
          this.#key = ''
          return
        }
        answer = { state: 'failed' as const, error: sentenceOf(error) }
      }
      if (requestNumber !== this.#requestNumber) return
      this.state = answer.state
      if (answer.state === 'failed') this.message = answer.error
      if (answer.state === 'none') this.message = answer.problem ?? ''
      if (answer.state === 'unavailable') this.message = answer.problem
      if (answer.state !== 'working' && answer.state !== 'done') this.value = null
      if (answer.state === 'done') {
        this.value = this.read(answer.result)
        this.stale = answer.stale
      }
      if (answer.state !== 'working') return
      this.message = activity(answer.doing)
      this.progress = answer.total ? answer.done / answer.total : null
      start = false
      await new Promise((done) => setTimeout(done, POLL_MS))
      if (requestNumber !== this.#requestNumber) return
    }
  }
}

/** All studies of the shown run, and the features of the shown text. */
export class Studies {
  readonly labels: Study<Labels>
  readonly effects: Study<Map<string, Effect>>
  readonly health: Study<{ neurons: Health[]; gates: Saturated[] }>
  readonly neuron: Study<AboutNeuron>
  readonly places: Study<Places>
  readonly card: Study<CardPassages>
  readonly distributions: Study<Distributions>
  readonly snapshot: Study<Snapshot>
  features = $state.raw<Feature[]>([])
  /** Why the features of the text are unknown; null if they are known. */
  featureProblem = $state<string | null>(null)
  /** The chosen feature, and the run and text that it was loaded for; `track` is null if the text does not have it. */
  track = $state.raw<{ run: string; text: string; feature: string; track: Track | null } | null>(null)
  #run: string | null = null
  readonly #featureRequests = new Latest()

  constructor(readonly source: Source) {
    this.labels = new Study(source, (result) => new Labels((result as { labels: Table }).labels))
    this.effects = new Study(source, (result) => effects((result as { ablation: Table }).ablation))
    this.health = new Study(source, (result) => {
      const { health, saturation } = result as { health: Table; saturation: Table }
      return { neurons: healthOf(health, saturation), gates: rows(saturation) as unknown as Saturated[] }
    })
    this.neuron = new Study(source, (result) => result as AboutNeuron)
    this.places = new Study(source, (result) => result as Places)
    this.card = new Study(source, (result) => result as CardPassages)
    this.distributions = new Study(source, (result) => result as Distributions)
    this.snapshot = new Study(source, (result) => result as Snapshot)
  }

  /** Load the saved labels and effects of a run; `again` if its weights have changed. */
  loadSaved(run: string, again: boolean): void {
    if (run !== this.#run)
      for (const study of [this.labels, this.effects, this.health, this.neuron, this.places]) study.clear()
    this.#run = run
    if (this.labels.state !== 'working') this.labels.request(run, { study: 'labels' }, false, again)
    if (this.effects.state !== 'working') this.effects.request(run, { study: 'ablation' }, false, again)
  }

  /** Whether saved labels of a run are on their way. */
  awaitsLabels(run: { labelled?: boolean } | undefined): boolean {
    return Boolean(run?.labelled) && this.labels.state === 'unknown'
  }

  /** Whether a run has labels, or will have them in a moment. */
  hasLabels(run: { labelled?: boolean } | undefined): boolean {
    return this.labels.value !== null || this.awaitsLabels(run)
  }

  /** Start a study; `keep` saves its answer in the run directory, where the command line finds it. */
  start(run: string, study: 'labels' | 'ablation' | 'health', keep: boolean): void {
    const target = { labels: this.labels, ablation: this.effects, health: this.health }[study]
    target.request(run, { study, keep }, true, true)
  }

  /** Load the list of features, and the chosen one over the text. */
  loadFeature(run: string, text: string, feature: string | null): void {
    const loaded = this.track
    if (feature !== null && loaded?.run === run && loaded.text === text && loaded.feature === feature) return
    this.#featureRequests.request(async () => {
      try {
        const { features, tracks } = await this.source.features(run, text, feature === null ? [] : [feature])
        this.features = features
        this.featureProblem = null
        if (feature !== null) this.track = { run, text, feature, track: tracks[0] ?? null }
      } catch (error) {
        // The request of the trace reports a text that cannot be read.
        this.featureProblem = error instanceof UnavailableError ? error.problem : null
        if (feature !== null) this.track = { run, text, feature, track: null }
      }
    })
  }
}
