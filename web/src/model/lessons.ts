// The lessons of the playground: a question about the network that the reader has just trained, and its answer.
//
// No answer is stored: each is measured in the network, so it is true of this network and of no other.
import type { Measurable } from '../data/lesson-network'
import type { Code } from '../messages/text'
import type { Ask, Judge } from './lesson'
import { askCopying, askLongCopying } from './lesson-copying'
import { askForgetting } from './lesson-forgetting'
import { askCounting, askGate, askState } from './lesson-memory'

export interface Lesson {
  name: string
  /** The words of its experiment; the seed and the settings of the training may be others. */
  experiment: string
  title: Code
  about: Code
  question: Code
  ask: Ask
  /** What the playground does not show meanwhile, because it is the answer. */
  hides: 'neuron' | 'longer' | null
  /** Measure the network. Throws a LessonUnfit if the question makes no sense for it. */
  measure: (network: Measurable) => Promise<Judge>
}

export const LESSONS: readonly Lesson[] = [
  {
    name: 'gate',
    experiment: 'lstm 10 1 counter',
    title: 'LESSON_GATE',
    about: 'LESSON_GATE_ABOUT',
    question: 'LESSON_GATE_QUESTION',
    ask: { kind: 'number', low: 0, high: 30 },
    hides: null,
    measure: askGate,
  },
  {
    name: 'forgetting',
    experiment: 'elman 10 1 counter',
    title: 'LESSON_FORGETTING',
    about: 'LESSON_FORGETTING_ABOUT',
    question: 'LESSON_FORGETTING_QUESTION',
    ask: { kind: 'number', low: 1, high: 40 },
    hides: null,
    measure: askForgetting,
  },
  {
    name: 'counting',
    experiment: 'lstm 10 1 counter',
    title: 'LESSON_COUNTING',
    about: 'LESSON_COUNTING_ABOUT',
    question: 'LESSON_COUNTING_QUESTION',
    ask: { kind: 'neuron' },
    hides: 'neuron',
    measure: askCounting,
  },
  {
    name: 'state',
    experiment: 'lstm 10 1 state_memoriser',
    title: 'LESSON_STATE',
    about: 'LESSON_STATE_ABOUT',
    question: 'LESSON_STATE_QUESTION',
    ask: { kind: 'neuron' },
    hides: 'neuron',
    measure: askState,
  },
  {
    name: 'copying',
    experiment: 'lstm 10 1 copy',
    title: 'LESSON_COPYING',
    about: 'LESSON_COPYING_ABOUT',
    question: 'LESSON_COPYING_QUESTION',
    ask: { kind: 'number', low: 0, high: 10 },
    hides: null,
    measure: askCopying,
  },
  {
    name: 'long-copying',
    experiment: 'lstm 10 1 copy',
    title: 'LESSON_LONG',
    about: 'LESSON_LONG_ABOUT',
    question: 'LESSON_LONG_QUESTION',
    ask: { kind: 'choice', choices: ['LESSON_LONG_MOST', 'LESSON_LONG_HALF', 'LESSON_LONG_FEW'] },
    hides: 'longer',
    measure: askLongCopying,
  },
]

/** Return the lesson of an address; null without one, or for an unknown name. */
export const lessonNamed = (name: string | null): Lesson | null =>
  LESSONS.find((lesson) => lesson.name === name) ?? null

/** Return whether an experiment is that of a lesson: the same but for its seed and the settings of its training. */
export const isOfLesson = ({ experiment }: Lesson, words: string): boolean => `${words} `.startsWith(`${experiment} `)
