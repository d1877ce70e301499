// The lesson about gradients over distance, in a plain RNN and in an LSTM.
import type { Measurable } from '../data/lesson-network'
import { type Judge, LessonUnfit } from './lesson'
import { percent } from './numbers'

/** What both networks read: the letter that they must remember lies 61 steps before the last one. */
const READ = `A${'x'.repeat(60)}Y`
const LAST = READ.length - 1

/** The share of the gradient that counts as forgotten. */
const FORGOTTEN = 0.01

/** How far an answer may be from the measured distance. */
const TOLERANCE = 2

/** Return how much of the gradient of the last state is left at every distance: the most that a change can grow. */
async function leftByDistance(network: Measurable): Promise<number[]> {
  const { largest, steps } = await network.gradients(READ)
  return Array.from({ length: steps }, (_, distance) => Math.exp(largest[LAST * steps + LAST - distance]!))
}

/** How many steps back is less than 1 % of the gradient left? */
export async function askForgetting(network: Measurable): Promise<Judge> {
  const left = await leftByDistance(network)
  const distance = left.findIndex((share) => share < FORGOTTEN)
  if (distance < 0)
    throw new LessonUnfit({ code: 'LESSON_UNFIT_FORGETTING', values: { steps: LAST, left: percent(left[LAST]!) } })
  let beside: Promise<{ share: number; updates: number }> | null = null
  const measureBeside = async (): Promise<{ share: number; updates: number }> => {
    const other = await network.trainedBeside('lstm')
    return { share: (await leftByDistance(other))[distance]!, updates: other.updates }
  }
  const look = { view: 'gradient', text: READ, pair: { first: LAST - distance, last: LAST } } as const
  return async (answer) => {
    const right = Math.abs(answer - distance) <= TOLERANCE
    const there = percent(left[Math.min(LAST, Math.max(0, answer))]!)
    if (!right) {
      const code = answer < distance ? 'LESSON_FORGETTING_FURTHER' : 'LESSON_FORGETTING_NEARER'
      return { right, why: { code, values: { answer, left: there } }, look }
    }
    const { share, updates } = await (beside ??= measureBeside())
    const values = { distance, left: percent(left[distance]!), lstm: percent(share), updates }
    return { right, why: { code: 'LESSON_FORGETTING_RIGHT', values }, look }
  }
}
