// Draws classes over the strips: the predicted one, the target, and the probability of each.
import { fitted } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Scene, Visible } from './scene'

type Pen = CanvasRenderingContext2D

const NARROW = 22 // a column that no name fits into: neighbours that are alike share one

const GAP = 1

interface Run {
  id: number
  from: number
  to: number
}

/** Steps beside each other for which `key` is the same become one, where columns are narrow or a text has one answer. */
export function runs(
  key: (step: number) => number,
  start: Uint8Array,
  from: number,
  to: number,
  joined: boolean,
): Run[] {
  const found: Run[] = []
  for (let t = from; t < to; t++) {
    const id = key(t)
    const last = found.at(-1)
    if (joined && last && last.id === id && last.to === t && !start[t]) last.to++
    else found.push({ id, from: t, to: t + 1 })
  }
  return found
}

function name(pen: Pen, scene: Scene, v: Visible, run: Run, text: string, band: Band, joined: boolean): void {
  const g = scene.geometry
  const left = Math.max(v.x(run.from), g.label)
  const width = v.x(run.to) - GAP - left
  const y = band.y + band.height / 2 + 0.5
  const shown = fitted(pen, text, width - 2)
  if (shown.length < Math.min(2, text.length)) return
  pen.textAlign = joined ? 'left' : 'center'
  if (joined && run.to - run.from > 1) pen.fillText(shown, left + 3, y)
  else {
    pen.textAlign = 'center'
    pen.fillText(shown, left + width / 2, y)
  }
}

/** What was said, on a ground that tells whether it is right, and under it what is right. */
export function said(pen: Pen, scene: Scene, v: Visible): void {
  const found = scene.above.said
  if (!found) return
  const g = scene.geometry
  const { theme } = scene.palette
  const joined = found.once || g.cell < NARROW
  pen.textBaseline = 'middle'
  // Runs that begin or end out of sight keep their length: the ends do not matter for what is in sight.
  const from = Math.max(0, v.from - 1)
  const verdict = (t: number): number => (found.right[t]! < 0 ? 0 : found.right[t] === found.said[t] ? 1 : 2)
  const key = (t: number): number => (found.said[t]! < 0 ? -1 : found.said[t]! * 3 + verdict(t))
  for (const run of runs(key, scene.start, from, v.to, joined)) {
    if (run.id < 0) continue
    const x = v.x(run.from)
    pen.fillStyle = [theme.chip, theme.right, theme.wrong][run.id % 3]!
    pen.fillRect(x, g.said.y, v.x(run.to) - GAP - x, g.said.height)
    pen.font = `${run.id % 3 === 2 ? 600 : 400} 10.5px ${SANS}`
    pen.fillStyle = run.id % 3 === 2 ? theme.warn : theme.ink
    name(pen, scene, v, run, found.names[Math.floor(run.id / 3)]!, g.said, joined)
  }
  if (!g.right.height) return
  const asked = (t: number): number => (found.right[t]! < 0 ? -1 : found.right[t]! * 3 + (found.once ? 1 : verdict(t)))
  for (const run of runs(asked, scene.start, from, v.to, joined)) {
    if (run.id < 0) continue
    const wrong = run.id % 3 === 2
    pen.font = `${wrong || found.once ? 600 : 400} 10.5px ${SANS}`
    pen.fillStyle = wrong || found.once ? theme.good : theme.mute
    const x = v.x(run.from)
    if (joined) pen.fillRect(x, g.right.y + g.right.height - 1.5, v.x(run.to) - GAP - x, 1.5)
    name(pen, scene, v, run, found.names[Math.floor(run.id / 3)]!, g.right, joined)
  }
}

/** The probabilities of a few classes, one on the other in their order. */
export function opinion(pen: Pen, scene: Scene, v: Visible): void {
  const { shares, said: found } = scene.above
  if (!shares || !found) return
  const g = scene.geometry
  const { theme } = scene.palette
  const count = found.names.length
  const width = Math.max(1, g.cell - (g.cell > 6 ? 1 : 0))
  for (let t = v.from; t < v.to; t++) {
    if (Number.isNaN(shares[t * count]!)) {
      pen.fillStyle = theme.line
      pen.fillRect(v.x(t), g.predictions.y + g.predictions.height - 2, width, 2)
      continue
    }
    let base = g.predictions.y + g.predictions.height
    for (let k = 0; k < count; k++) {
      const height = shares[t * count + k]! * g.predictions.height
      pen.fillStyle = theme.classes[k] ?? theme.barQuiet
      pen.fillRect(v.x(t), base - height, width, height)
      base -= height
    }
  }
  pen.fillStyle = theme.paper
  pen.globalAlpha = 0.8
  pen.fillRect(v.x(v.from), g.predictions.y + g.predictions.height / 2, v.x(v.to) - v.x(v.from), 1)
  pen.globalAlpha = 1
}

/** Which colour is which class, in the column of labels. */
export function opinionNames(pen: Pen, scene: Scene): boolean {
  const { shares, said: found } = scene.above
  if (!shares || !found || found.names.length > 3) return false
  const g = scene.geometry
  const { theme } = scene.palette
  const { y, height } = g.predictions
  pen.textAlign = 'left'
  pen.font = `11px ${SANS}`
  found.names.forEach((text, k) => {
    // The last class lies on top.
    const middle = y + height - ((k + 0.5) / found.names.length) * height
    pen.fillStyle = theme.classes[k]!
    pen.fillRect(4, middle - 4.5, 9, 9)
    pen.fillStyle = theme.mute
    pen.fillText(fitted(pen, text, g.label - 24), 18, middle + 0.5)
  })
  return true
}
