// The loss curve: thinned points, and a logarithmic axis with round numbers on it.
import type { HistoryRecord } from '../data/run'

export interface Point {
  step: number
  loss: number
}

/** Return at most `maxPoints` points, each a mean of neighbours, without losses that a logarithmic axis cannot show. */
export function thinnedPoints(history: HistoryRecord[], key: 'loss' | 'validation_loss', maxPoints: number): Point[] {
  const points = history.flatMap((record) => {
    const loss = record[key]
    return typeof loss === 'number' && loss > 0 && Number.isFinite(loss) ? [{ step: record.step, loss }] : []
  })
  const groupSize = Math.ceil(points.length / maxPoints)
  if (groupSize <= 1) return points
  return Array.from({ length: Math.ceil(points.length / groupSize) }, (_, k) => {
    const group = points.slice(k * groupSize, (k + 1) * groupSize)
    const mean = (read: (point: Point) => number): number =>
      group.reduce((sum, point) => sum + read(point), 0) / group.length
    return { step: mean((point) => point.step), loss: mean((point) => point.loss) }
  })
}

export interface Axis {
  /** Natural logarithms of the ends. */
  bottom: number
  top: number
  ticks: number[]
}

/** Return the ends and ticks of a logarithmic axis: 1, 2, 5 of each power of ten, or fewer on a long axis. */
export function lossAxis(losses: number[]): Axis {
  const bottom = Math.min(...losses) * 0.95
  const top = Math.max(...losses) * 1.08
  const first = Math.floor(Math.log10(bottom))
  const last = Math.ceil(Math.log10(top))
  const powers = Array.from({ length: last - first + 1 }, (_, k) => 10 ** (first + k))
  const factorsOfPower = powers.length > 4 ? [1] : powers.length > 3 ? [1, 3] : [1, 2, 5]
  const factors = top / bottom < 3 ? [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : factorsOfPower
  const ticks = powers
    .flatMap((power) => factors.map((factor) => Number((power * factor).toPrecision(3))))
    .filter((value) => value >= bottom && value <= top)
  return { bottom: Math.log(bottom), top: Math.log(top), ticks }
}
