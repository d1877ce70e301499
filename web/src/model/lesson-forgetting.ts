// The lesson about gradients over distance, in a plain RNN and in an LSTM.
import type { Measurable } from '../data/lesson-network'
import { magnitude } from './distance'
import { type Judge, LessonUnfit } from './lesson'

/** What both networks read, twice as long as any string that they learned. */
const READ = `${'a'.repeat(20)}X${'b'.repeat(20)}`
const LAST = READ.length - 1

/** The share of the gradient that counts as forgotten. */
const FORGOTTEN = 0.01

/** How far an answer may be from the measured distance. */
const TOLERANCE = 1

/** Return how much of the gradient is left at every distance: the most that a change of the state there can grow. */
async function leftByDistance(network: Measurable): Promise<number[]> {
  const { largest, steps } = await network.gradients(READ)
  return Array.from({ length: steps }, (_, distance) => Math.exp(largest[LAST * steps + LAST - distance]!))
}

const printed = (share: number): string => magnitude(Math.log(share))

/** How many steps back is less than 1 % of the gradient left? */
export async function askForgetting(network: Measurable): Promise<Judge> {
  const left = await leftByDistance(network)
  const distance = left.findIndex((share) => share < FORGOTTEN)
  if (distance < 0)
    throw new LessonUnfit({ code: 'LESSON_UNFIT_FORGETTING', values: { steps: LAST, left: printed(left[LAST]!) } })
  let beside: Promise<{ share: number; updates: number }> | null = null
  const measureBeside = async (): Promise<{ share: number; updates: number }> => {
    const other = await network.trainedBeside('lstm')
    return { share: (await leftByDistance(other))[distance]!, updates: other.updates }
  }
  const look = { view: 'gradient', text: READ, pair: { first: LAST - distance, last: LAST } } as const
  return async (answer) => {
    const right = Math.abs(answer - distance) <= TOLERANCE
    const there = printed(left[Math.min(LAST, Math.max(0, answer))]!)
    if (!right) {
      const code = answer < distance ? 'LESSON_FORGETTING_FURTHER' : 'LESSON_FORGETTING_NEARER'
      return { right, why: { code, values: { answer, left: there } }, look }
    }
    const { share, updates } = await (beside ??= measureBeside())
    const values = { distance, left: printed(left[distance]!), lstm: printed(share), updates }
    return { right, why: { code: 'LESSON_FORGETTING_RIGHT', values }, look }
  }
}
