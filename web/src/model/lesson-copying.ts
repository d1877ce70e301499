// Lessons about copying: how many neurons share the memory, and how far it reaches.
import type { Measurable } from '../data/lesson-network'
import { oneLine } from './characters'
import { holdOf, type Judge, LessonUnfit } from './lesson'

/** A word, an X, and the word again. */
const lettersOf = (string: string): number => string.indexOf('X')

/** Return the strings that a network copies, given the most probable next symbol after every step of all of them. */
function copied(strings: readonly string[], next: readonly string[]): boolean[] {
  let start = 0
  return strings.map((string) => {
    const symbols = [...string]
    const begin = start
    start += symbols.length
    return symbols.every((symbol, t) => t <= lettersOf(string) || next[begin + t - 1] === symbol)
  })
}

const count = (verdicts: readonly boolean[]): number => verdicts.filter(Boolean).length

/** Throw a LessonUnfit unless a network copies all of its words. */
async function checkCopies(network: Measurable): Promise<readonly string[]> {
  const { strings } = network.bundle.remembered!
  const right = count(copied(strings, (await network.read(strings.join(''), 'h')).next))
  if (right < strings.length)
    throw new LessonUnfit({ code: 'LESSON_UNFIT_COPY', values: { right, words: strings.length } })
  return strings
}

/** How many neurons break a word when their output is held at 0, one at a time? */
export async function askCopying(network: Measurable): Promise<Judge> {
  const strings = await checkCopies(network)
  const text = strings.join('')
  const verdicts: boolean[][] = []
  for (let neuron = 0; neuron < network.layer.neurons; neuron++)
    verdicts.push(copied(strings, (await network.read(text, 'h', [holdOf(neuron, 'h', 0, 0)])).next))
  const left = verdicts.map(count)
  const needed = left.filter((words) => words < strings.length).length
  const [least, most] = [Math.min(...left), Math.max(...left)]
  const vital = left.indexOf(least)
  const figures = { needed, vital, least, spare: left.indexOf(most), most, words: strings.length }
  const broken = strings[Math.max(0, verdicts[vital]!.indexOf(false))]!
  const prime = broken.slice(0, lettersOf(broken) + 1)
  const look = { text: prime, signal: 'h', neuron: vital, holds: [holdOf(vital, 'h', 0, 0)] }
  return (answer) => {
    const right = answer === needed
    const code = right ? 'LESSON_COPYING_RIGHT' : answer < needed ? 'LESSON_COPYING_MORE' : 'LESSON_COPYING_FEWER'
    return { right, why: { code, values: { ...figures, answer } }, look }
  }
}

/** The least share of right words of each choice: most of them, about half, few. */
const LEAST_SHARES = [2 / 3, 1 / 3, 0] as const

/** What happens with words of four letters? */
export async function askLongCopying(network: Measurable): Promise<Judge> {
  await checkCopies(network)
  const all = network.bundle.score.longer!.text
  const measure = async (letters: number): Promise<{ strings: string[]; right: boolean[]; next: string[] }> => {
    const strings = all.filter((string) => lettersOf(string) === letters)
    const { next } = await network.read(strings.join(''), 'h')
    return { strings, right: copied(strings, next), next }
  }
  const [four, five] = [await measure(4), await measure(5)]
  const truth = LEAST_SHARES.findIndex((least) => count(four.right) / four.strings.length >= least)
  const length = four.strings[0]!.length
  /** The number of words whose letter in a place is right, after the right letters before. */
  const rightAt = (place: number): number =>
    four.strings.filter((string, k) => four.next[k * length + 4 + place] === string[5 + place]).length
  const wrong = four.strings[Math.max(0, four.right.indexOf(false))]!
  const prime = wrong.slice(0, lettersOf(wrong) + 1)
  const figures = {
    right: count(four.right),
    words: four.strings.length,
    longer: count(five.right),
    all: five.strings.length,
    one: rightAt(0),
    two: rightAt(1),
    three: rightAt(2),
    four: rightAt(3),
    prime,
    written: oneLine(await network.write(prime)),
  }
  const look = { text: prime, signal: network.signal.name, write: length }
  return (answer) => {
    const right = truth === 0 ? 'LESSON_LONG_FAR' : 'LESSON_LONG_RIGHT'
    const code = answer === truth ? right : answer < truth ? 'LESSON_LONG_LESS' : 'LESSON_LONG_MORE'
    return { right: answer === truth, why: { code, values: figures }, look }
  }
}
