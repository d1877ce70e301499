// Draws classes over the strips: the predicted one, the target, and the probability of each.
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Header } from './header'
import type { Scene, Visible } from './scene'

type Pen = CanvasRenderingContext2D

const NARROW_CELL = 22 // no name fits into a narrower column, so equal neighbours share one

const GAP = 1

interface StepRun {
  id: number
  from: number
  to: number
}

/** Merge neighbouring steps with the same key, within one sequence; without `joined`, every step stays alone. */
export function mergeSteps(
  key: (step: number) => number,
  start: Uint8Array,
  from: number,
  to: number,
  joined: boolean,
): StepRun[] {
  const merged: StepRun[] = []
  for (let t = from; t < to; t++) {
    const id = key(t)
    const last = merged.at(-1)
    if (joined && last && last.id === id && last.to === t && !start[t]) last.to++
    else merged.push({ id, from: t, to: t + 1 })
  }
  return merged
}

function drawClassName(
  pen: Pen,
  scene: Scene,
  v: Visible,
  run: StepRun,
  text: string,
  band: Band,
  joined: boolean,
): void {
  const g = scene.geometry
  const left = Math.max(v.x(run.from), g.label)
  const width = v.x(run.to) - GAP - left
  const y = band.y + band.height / 2 + 0.5
  const shown = fitText(pen, text, width - 2)
  if (shown.length < Math.min(2, text.length)) return
  pen.textAlign = joined ? 'left' : 'center'
  if (joined && run.to - run.from > 1) pen.fillText(shown, left + 3, y)
  else {
    pen.textAlign = 'center'
    pen.fillText(shown, left + width / 2, y)
  }
}

type Classes = NonNullable<Header['classes']>

const correctness = (classes: Classes, t: number): number =>
  classes.targets[t]! < 0 ? 0 : classes.targets[t] === classes.predicted[t] ? 1 : 2

// Merged steps may begin or end out of sight: only the visible part is drawn.
const firstMerged = (v: Visible): number => Math.max(0, v.firstStep - 1)

const isJoined = (scene: Scene, classes: Classes): boolean => classes.once || scene.geometry.cell < NARROW_CELL

/** Draw the predicted class of each step on a ground that shows whether it is correct, and the target under it. */
export function drawClassBands(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g, header, original } = scene
  if (!header.classes) return
  pen.textBaseline = 'middle'
  drawPredictedClasses(pen, scene, v, header.classes, g.predicted)
  if (original?.header.classes) drawPredictedClasses(pen, scene, v, original.header.classes, g.original.predicted)
  if (g.target.height) drawTargets(pen, scene, v, header.classes)
}

function drawPredictedClasses(pen: Pen, scene: Scene, v: Visible, classes: Classes, band: Band): void {
  const { theme } = scene.palette
  const joined = isJoined(scene, classes)
  const size = Math.min(10.5, band.height - 2)
  const predictionKey = (t: number): number =>
    classes.predicted[t]! < 0 ? -1 : classes.predicted[t]! * 3 + correctness(classes, t)
  for (const run of mergeSteps(predictionKey, scene.start, firstMerged(v), v.endStep, joined)) {
    if (run.id < 0) continue
    const x = v.x(run.from)
    pen.fillStyle = [theme.chip, theme.right, theme.wrong][run.id % 3]!
    pen.fillRect(x, band.y, v.x(run.to) - GAP - x, band.height)
    pen.font = `${run.id % 3 === 2 ? 600 : 400} ${size}px ${SANS}`
    pen.fillStyle = run.id % 3 === 2 ? theme.warn : theme.ink
    drawClassName(pen, scene, v, run, classes.names[Math.floor(run.id / 3)]!, band, joined)
  }
}

function drawTargets(pen: Pen, scene: Scene, v: Visible, classes: Classes): void {
  const g = scene.geometry
  const { theme } = scene.palette
  const joined = isJoined(scene, classes)
  const targetKey = (t: number): number =>
    classes.targets[t]! < 0 ? -1 : classes.targets[t]! * 3 + (classes.once ? 1 : correctness(classes, t))
  for (const run of mergeSteps(targetKey, scene.start, firstMerged(v), v.endStep, joined)) {
    if (run.id < 0) continue
    const wrong = run.id % 3 === 2
    pen.font = `${wrong || classes.once ? 600 : 400} 10.5px ${SANS}`
    pen.fillStyle = wrong || classes.once ? theme.good : theme.mute
    const x = v.x(run.from)
    if (joined) pen.fillRect(x, g.target.y + g.target.height - 1.5, v.x(run.to) - GAP - x, 1.5)
    drawClassName(pen, scene, v, run, classes.names[Math.floor(run.id / 3)]!, g.target, joined)
  }
}

/** Draw the probabilities of the classes, stacked in the order of the classes. */
export function drawClassProbabilities(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g, header, original } = scene
  drawShares(pen, scene, v, header, g.predictions)
  if (original) drawShares(pen, scene, v, original.header, g.original.predictions)
}

function drawShares(pen: Pen, scene: Scene, v: Visible, header: Header, band: Band): void {
  const { probabilities: shares, classes } = header
  if (!shares || !classes) return
  const g = scene.geometry
  const { theme } = scene.palette
  const count = classes.names.length
  const width = Math.max(1, g.cell - (g.cell > 6 ? 1 : 0))
  for (let t = v.firstStep; t < v.endStep; t++) {
    if (Number.isNaN(shares[t * count]!)) {
      pen.fillStyle = theme.line
      pen.fillRect(v.x(t), band.y + band.height - 2, width, 2)
      continue
    }
    let base = band.y + band.height
    for (let k = 0; k < count; k++) {
      const height = shares[t * count + k]! * band.height
      pen.fillStyle = theme.classes[k] ?? theme.barQuiet
      pen.fillRect(v.x(t), base - height, width, height)
      base -= height
    }
  }
  pen.fillStyle = theme.paper
  pen.globalAlpha = 0.8
  pen.fillRect(v.x(v.firstStep), band.y + band.height / 2, v.x(v.endStep) - v.x(v.firstStep), 1)
  pen.globalAlpha = 1
}

/** Draw the colour and the name of each class, in the column of labels. Returns false if there are too many. */
export function drawClassLegend(pen: Pen, scene: Scene): boolean {
  const { probabilities: shares, classes } = scene.header
  if (!shares || !classes || classes.names.length > 3) return false
  const g = scene.geometry
  const { theme } = scene.palette
  const { y, height } = g.predictions
  pen.textAlign = 'left'
  pen.font = `11px ${SANS}`
  classes.names.forEach((text, k) => {
    // The last class lies on top.
    const middle = y + height - ((k + 0.5) / classes.names.length) * height
    pen.fillStyle = theme.classes[k]!
    pen.fillRect(4, middle - 4.5, 9, 9)
    pen.fillStyle = theme.mute
    pen.fillText(fitText(pen, text, g.label - 24), 18, middle + 0.5)
  })
  return true
}
