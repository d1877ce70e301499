// Lessons about what one neuron remembers: a gate, a counter, and a state.
import type { Measurable } from '../data/lesson-network'
import type { Hold } from '../data/view'
import { shortFloat } from './holds'
import { holdOf, type Judge, LessonUnfit, type Verdict } from './lesson'
import { shortNumber } from './numbers'
import { type Follower, followers, FOLLOWS, shuffledScore } from './remembered'

/** What the counter reads: it owes five b's, and its X is at step 5. */
const COUNTED = { text: 'aaaaaX', owed: 5, at: 5 } as const

/** What the network reads that remembers a letter: x's up to step 5, and a Y. */
const REMEMBERED = { a: 'AxxxxxY', b: 'BxxxxxY', first: 1, last: 5 } as const

/** Return the number of b's that a network writes behind aaaaaX. */
async function countWritten(network: Measurable, holds: readonly Hold[] = []): Promise<number> {
  return /^b*/.exec(await network.write(COUNTED.text, holds))![0].length
}

/** Throw a LessonUnfit unless a network counts to five. */
async function checkCounter(network: Measurable): Promise<void> {
  const written = await countWritten(network)
  if (written !== COUNTED.owed)
    throw new LessonUnfit({ code: 'LESSON_UNFIT_COUNTER', values: { written, owed: COUNTED.owed } })
}

/** How many b's are written with the forget gate that matters most held at 0 at the X? */
export async function askGate(network: Measurable): Promise<Judge> {
  await checkCounter(network)
  const { text, owed, at } = COUNTED
  let most = { neuron: -1, written: owed as number }
  for (let neuron = 0; neuron < network.layer.neurons; neuron++) {
    const written = await countWritten(network, [holdOf(neuron, 'f', 0, at, at)])
    if (Math.abs(written - owed) > Math.abs(most.written - owed)) most = { neuron, written }
  }
  if (most.neuron < 0) throw new LessonUnfit({ code: 'LESSON_UNFIT_GATE' })
  const { neuron, written } = most
  const holds = [holdOf(neuron, 'f', 0, at, at)]
  const stateWith = async (held: readonly Hold[]): Promise<string> =>
    shortNumber((await network.read(text, 'c', held)).values[neuron * text.length + at]!)
  const figures = { neuron, written, owed, free: await stateWith([]), held: await stateWith(holds) }
  const look = { text, signal: 'c', neuron, step: at, holds }
  return (answer) => {
    const code = answer === written ? 'LESSON_GATE_RIGHT' : answer < written ? 'LESSON_GATE_MORE' : 'LESSON_GATE_FEWER'
    return { right: answer === written, why: { code, values: { ...figures, answer } }, look }
  }
}

/** How well each neuron follows what the task makes the network remember, and what the best one reaches by chance. */
async function measureFollowers(
  network: Measurable,
): Promise<{ scores: (Follower | null)[]; best: number; chance: string }> {
  const { remembered } = network.bundle
  const { values } = await network.read(remembered!.strings.join(''), network.signal.name)
  const scores = followers(values, remembered!)
  const sizes = scores.map((found) => found?.score ?? -1)
  return {
    scores,
    best: sizes.indexOf(Math.max(...sizes)),
    chance: shuffledScore(values, remembered!)?.toFixed(2) ?? '–',
  }
}

/** Return the judge of a neuron: right is one that follows, or the one that follows best. */
async function judgeOfFollower(
  network: Measurable,
  wrong: 'LESSON_COUNTING_WRONG' | 'LESSON_STATE_WRONG',
  right: (neuron: number, figures: { neuron: number; score: string; chance: string }) => Promise<Verdict>,
): Promise<Judge> {
  const { scores, best, chance } = await measureFollowers(network)
  return async (neuron) => {
    const score = scores[neuron]?.score ?? 0
    const figures = { neuron, score: score.toFixed(2), chance }
    if (score >= FOLLOWS || neuron === best) return right(neuron, figures)
    const look = { signal: network.signal.name, neuron }
    return { right: false, why: { code: wrong, values: { ...figures, needed: FOLLOWS } }, look }
  }
}

/** Which neuron counts? Its forget gate is then held at 0 from the X on. */
export async function askCounting(network: Measurable): Promise<Judge> {
  await checkCounter(network)
  const { text, owed, at } = COUNTED
  return judgeOfFollower(network, 'LESSON_COUNTING_WRONG', async (neuron, figures) => {
    const holds = [holdOf(neuron, 'f', 0, at)]
    const written = await countWritten(network, holds)
    const code = written === owed ? 'LESSON_COUNTING_SHARED' : 'LESSON_COUNTING_RIGHT'
    const look = { text, signal: network.signal.name, neuron, step: at, holds }
    return { right: true, why: { code, values: { ...figures, written, owed } }, look }
  })
}

/** Which neuron remembers the first letter? Its state is then held where the other letter leaves it. */
export async function askState(network: Measurable): Promise<Judge> {
  const { a, b, first, last } = REMEMBERED
  const [free = ''] = await network.write(a)
  if (free !== 'a') throw new LessonUnfit({ code: 'LESSON_UNFIT_STATE', values: { written: free, text: a } })
  const { name } = network.signal
  return judgeOfFollower(network, 'LESSON_STATE_WRONG', async (neuron, figures) => {
    const { values } = await network.read(b, name)
    const value = shortFloat(values[neuron * b.length + last]!)
    const holds = [holdOf(neuron, name, value, first)]
    const [written = ''] = await network.write(a, holds)
    const code = written === free ? 'LESSON_STATE_SHARED' : 'LESSON_STATE_RIGHT'
    const look = { text: a, signal: name, neuron, step: last, holds }
    return { right: true, why: { code, values: { ...figures, value: shortNumber(value), written } }, look }
  })
}
