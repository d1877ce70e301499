// The loss curve: thinned points, and a logarithmic axis with round numbers on it.
import type { HistoryRecord } from '../data/run'

export interface Point {
  step: number
  loss: number
}

/** At most `most` points, each the mean of its neighbours; zero and missing losses have no place on a logarithmic axis. */
export function thinnedPoints(history: HistoryRecord[], key: 'loss' | 'validation_loss', most: number): Point[] {
  const all = history.flatMap((record) => {
    const loss = record[key]
    return typeof loss === 'number' && loss > 0 && Number.isFinite(loss) ? [{ step: record.step, loss }] : []
  })
  const group = Math.ceil(all.length / most)
  if (group <= 1) return all
  return Array.from({ length: Math.ceil(all.length / group) }, (_, k) => {
    const part = all.slice(k * group, (k + 1) * group)
    const mean = (read: (point: Point) => number): number =>
      part.reduce((sum, point) => sum + read(point), 0) / part.length
    return { step: mean((point) => point.step), loss: mean((point) => point.loss) }
  })
}

export interface Axis {
  /** Natural logarithms of the ends. */
  bottom: number
  top: number
  ticks: number[]
}

/** Ends and ticks of a logarithmic axis: 1, 2, 5 of each power of ten, or powers of ten only when those are many. */
export function lossAxis(losses: number[]): Axis {
  const least = Math.min(...losses) * 0.95
  const most = Math.max(...losses) * 1.08
  const first = Math.floor(Math.log10(least))
  const last = Math.ceil(Math.log10(most))
  const powers = Array.from({ length: last - first + 1 }, (_, k) => 10 ** (first + k))
  const fine = powers.length > 4 ? [1] : powers.length > 3 ? [1, 3] : [1, 2, 5]
  const near = most / least < 3 ? [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : fine
  const ticks = powers
    .flatMap((power) => near.map((part) => Number((power * part).toPrecision(3))))
    .filter((value) => value >= least && value <= most)
  return { bottom: Math.log(least), top: Math.log(most), ticks }
}
