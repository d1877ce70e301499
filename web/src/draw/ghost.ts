// What the network writes behind the text, and in branches of it: symbols in grey, and the strips of reading them, dimmed.
import { glyph } from '../model/characters'
import { type BranchRow, type Ghost, ghostLabels, ghostValues } from '../model/continuation'
import type { Scale } from '../model/scale'
import { fitText } from './fit-text'
import { type Band, BRANCH_STRIP_HEIGHT, BRANCH_TEXT_HEIGHT, SANS } from './geometry'
import { NONE } from './palette'
import type { BranchScene, GhostScene, Scene, Visible } from './scene'
import { drawGlyph } from './sprites'

/** The opacity of what was not read from the text. */
export const DIMMED = 0.45

type Pen = CanvasRenderingContext2D

/** Return the columns of some symbols that are in sight, [from, to). */
function inSight(v: Visible, from: number, count: number): [number, number] {
  return [Math.max(from, v.firstStep), Math.min(from + count, v.endColumn)]
}

function drawValues(
  pen: Pen,
  scene: Scene,
  v: Visible,
  values: Float32Array,
  scale: Scale,
  from: number,
  y: number,
  height: number,
): void {
  const { palette, geometry: g } = scene
  const [first, end] = inSight(v, from, values.length)
  const width = Math.max(1, g.cell - (g.cell > 6 ? 1 : 0))
  for (let t = first; t < end; t++) {
    const level = palette.level(scale, values[t - from]!)
    if (level === NONE) continue
    pen.fillStyle = palette.fill(level)
    pen.fillRect(v.x(t), y, width, height)
  }
}

/** Draw the strips of the symbols behind the text, dimmed. */
export function drawGhostCells(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g, labels, ruler } = scene
  if (!scene.ghost || ruler.length !== labels.length) return
  pen.globalAlpha = DIMMED
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { ghost, scale } = scene.rows[row]!
    if (ghost) drawValues(pen, scene, v, ghost, scale, labels.length, v.y(row), g.strip)
  }
  pen.globalAlpha = 1
}

/** Draw the predictions after the symbols behind the text, dimmed. */
export function drawGhostBars(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g, ghost, labels, ruler } = scene
  if (!ghost || !g.predictions.height || ruler.length !== labels.length) return
  const { theme } = scene.palette
  const width = Math.max(1, g.cell - (g.cell > 6 ? 2 : g.cell > 3 ? 1 : 0))
  const [first, end] = inSight(v, labels.length, ghost.labels.length)
  pen.globalAlpha = DIMMED
  for (let t = first; t < end; t++) {
    const at = t - labels.length
    let base = g.predictions.y + g.predictions.height
    for (let k = 0; k < ghost.top; k++) {
      const height = Math.round(ghost.topProbability[at * ghost.top + k]! * g.predictions.height)
      if (!(height >= 1)) break
      base -= height
      pen.fillStyle = k === 0 ? theme.bar : theme.barQuiet
      pen.fillRect(v.x(t), base, width, Math.max(1, height - 1))
      if (!g.font || height < 11 || scene.header.parts.text !== 'characters') continue
      const label = scene.topLabels(ghost.topToken[at * ghost.top + k]!)
      drawGlyph(
        pen,
        label,
        v.x(t) + width / 2,
        base + (height - 1) / 2,
        Math.min(g.font - 1, height - 1),
        g.cell,
        theme.ink,
      )
    }
  }
  pen.globalAlpha = 1
}

/** Draw the text of a row: characters over their columns, or words as far as they fit. */
function drawLabels(pen: Pen, scene: Scene, v: Visible, labels: readonly string[], from: number, band: Band): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const [first, end] = inSight(v, from, labels.length)
  const y = band.y + band.height / 2
  for (let t = first; t < end; t++) {
    const label = labels[t - from]!
    const isFirst = t === from
    const ink = isFirst ? theme.accent : theme.mute
    const x = v.x(t) + (g.cell - 1) / 2
    if (scene.header.parts.text === 'characters') {
      drawGlyph(pen, label, x, y, Math.min(g.font + 1.5, 16), g.cell, ink, isFirst ? 600 : 400)
      continue
    }
    pen.font = `${isFirst ? 600 : 400} 12px ${SANS}`
    pen.fillStyle = ink
    pen.textAlign = 'center'
    pen.textBaseline = 'middle'
    pen.fillText(fitText(pen, glyph(label).text, g.cell - 2), x, y)
  }
}

/** Draw the branches below each other: a line from the step where each begins, its text, and a strip of the chosen neuron. */
export function drawBranches(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g, branches } = scene
  const { theme } = scene.palette
  const roots = g.predictions.height ? g.predictions.y + g.predictions.height : g.ruler.y + g.ruler.height
  branches.forEach(({ labels, from, values, scale }, k) => {
    const band = g.branches[k]!
    const x = v.x(from) - 1
    pen.fillStyle = theme.accent
    pen.globalAlpha = 0.6
    if (x > g.label) {
      pen.fillRect(x - 1, roots, 1.5, band.y + BRANCH_TEXT_HEIGHT - roots)
      pen.fillRect(x - 1, band.y + BRANCH_TEXT_HEIGHT - 1, 4, 1.5)
    }
    pen.globalAlpha = 1
    if (g.font) drawLabels(pen, scene, v, labels, from, { y: band.y, height: BRANCH_TEXT_HEIGHT })
    if (values) drawValues(pen, scene, v, values, scale, from, band.y + BRANCH_TEXT_HEIGHT, BRANCH_STRIP_HEIGHT)
  })
}

/** Return the scene of the symbols behind the text. */
export function ghostSceneOf({ continuation, skip }: Ghost): GhostScene {
  const { labels, top, topToken, topProbability, logProbability } = continuation.trace
  return {
    labels: labels.slice(skip),
    top,
    topToken: topToken.subarray(skip * top),
    topProbability: topProbability.subarray(skip * top),
    logProbability: logProbability.subarray(skip),
  }
}

/** Return the scene of a branch, with the values of one neuron. */
export const branchSceneOf = (row: BranchRow, signal: string, neuron: number, scale: Scale): BranchScene => ({
  labels: ghostLabels(row),
  from: row.from,
  values: ghostValues(row, signal, neuron),
  scale,
})
