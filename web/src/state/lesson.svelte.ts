// A lesson of the playground: whether its network is trained, the answer of the reader, and what the page says of it.
import { type Beside, LessonNetwork } from '../data/lesson-network'
import type { PlaygroundSource } from '../data/source'
import { sentenceOf } from '../data/source-error'
import { experimentText, networkOf, recipeOf } from '../model/experiment'
import { type Judge, LessonUnfit, type Said, type Verdict } from '../model/lesson'
import { isOfLesson, type Lesson } from '../model/lessons'
import { mainSignal } from '../model/main-signal'
import type { Playground } from './playground.svelte'

/** Updates after every test string was right, before a training that the lesson began is paused. */
const UPDATES_BEYOND = 100

/** other: the playground has another experiment; unsolved: the network is not right on every test string. */
export type LessonPhase = 'other' | 'loading' | 'failed' | 'untrained' | 'training' | 'unsolved' | 'spent' | 'ready'

/** The verdict about an answer; `problem` is a sentence that is not in the catalogue of the page. */
export interface Answered {
  lesson: string
  /** The network that was measured. */
  network: string
  answer: number
  verdict: Verdict | null
  unfit: Said | null
  problem: string | null
}

const studies = new WeakMap<Playground, LessonStudy>()

/** Return what the reader has answered about the networks of a playground; it stays while other views are shown. */
export function studyOf(playground: Playground, source: PlaygroundSource): LessonStudy {
  const known = studies.get(playground) ?? new LessonStudy(playground, source)
  studies.set(playground, known)
  return known
}

export class LessonStudy {
  answered = $state.raw<Answered | null>(null)
  measuring = $state(false)
  /** The names of the lessons that were answered right. */
  done = $state.raw<ReadonlySet<string>>(new Set())
  #judge: { key: string; judge: Promise<Judge> } | null = null
  /** Whether the lesson began the training, and pauses it. */
  #trains = false

  constructor(
    private readonly playground: Playground,
    private readonly source: PlaygroundSource,
  ) {}

  /** The network that is there now, in words; another one after every update. */
  get network(): string {
    const { experiment, progress } = this.playground
    return experiment ? `${experimentText(experiment)} ${progress?.step ?? 0}` : ''
  }

  phase(lesson: Lesson): LessonPhase {
    const { experiment, phase, progress, solved } = this.playground
    if (!experiment || phase === 'loading' || phase === 'empty') return 'loading'
    if (!isOfLesson(lesson, experimentText(experiment))) return 'other'
    if (phase === 'failed' || phase === 'training') return phase
    if (!progress?.step) return 'untrained'
    if (solved !== null) return 'ready'
    return phase === 'ended' ? 'spent' : 'unsolved'
  }

  /** What was answered about the present network in a lesson; null if nothing was. */
  answeredIn({ name }: Lesson): Answered | null {
    const { answered, network } = this
    return answered?.lesson === name && answered.network === network ? answered : null
  }

  /** Train until every test string is right, and a little longer. */
  train(): void {
    this.#trains = true
    if (this.playground.phase !== 'training') this.playground.toggle()
  }

  /** Pause the training that the lesson began, once the network has learned the task. */
  follow(): void {
    const { phase, progress, solved } = this.playground
    if (phase !== 'training') {
      this.#trains = false
    } else if (this.#trains && solved !== null && progress!.step >= solved + UPDATES_BEYOND) {
      this.#trains = false
      void this.playground.pause()
    }
  }

  /** Check an answer against the network that is there now. */
  async check(lesson: Lesson, answer: number): Promise<void> {
    if (this.measuring) return
    const { network } = this
    const about = { lesson: lesson.name, network, answer, verdict: null, unfit: null, problem: null }
    this.measuring = true
    this.answered = null
    try {
      const verdict = await (await this.#judgeOf(lesson))(answer)
      this.answered = { ...about, verdict }
      if (verdict.right) this.done = new Set([...this.done, lesson.name])
    } catch (error) {
      if (error instanceof LessonUnfit) this.answered = { ...about, unfit: error.why }
      else this.answered = { ...about, problem: sentenceOf(error) }
    }
    this.measuring = false
  }

  /** Measure the network once for all answers. */
  #judgeOf(lesson: Lesson): Promise<Judge> {
    const key = `${lesson.name} ${this.network}`
    if (this.#judge?.key !== key) {
      const judge = this.#open().then((network) => lesson.measure(network))
      this.#judge = { key, judge }
      // After a failure, the next answer measures again.
      judge.catch(() => (this.#judge = this.#judge?.key === key ? null : this.#judge))
    }
    return this.#judge!.judge
  }

  async #open(): Promise<LessonNetwork> {
    const { playground, source } = this
    const { bundle, index, layers, progress } = playground
    const experiment = playground.experiment!
    const end = bundle!.vocabulary.end
    const [layer] = layers
    const weights = await playground.ask((training) => training.weights(playground.bestWeights))
    const network = networkOf(experiment, bundle!, index!)
    const beside = (cell: string): Beside => {
      const about = index!.cells.find(({ name }) => name === cell)!.layer
      const other = { ...about, name: layer!.name, neurons: layer!.neurons }
      const recipe = recipeOf(experiment)
      const described = networkOf({ ...experiment, cell }, bundle!, index!)
      return {
        start: { bundle, network: described, recipe, seed: experiment.seed },
        layer: other,
        signal: mainSignal(other, end)!,
      }
    }
    const subject = { bundle: bundle!, layer: layer!, signal: mainSignal(layer!, end)!, updates: progress!.step }
    return LessonNetwork.open(source.engine, { ...subject, network, weights }, beside)
  }
}
