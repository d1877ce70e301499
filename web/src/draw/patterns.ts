// Patterns over cells: hatched for clipped values, dotted for missing ones.
import { isVector } from './cells'

const TILE = 5

const tiles: { hatch?: HTMLCanvasElement; none?: HTMLCanvasElement } = {}

function makePattern(
  pen: CanvasRenderingContext2D,
  draw: (tile: CanvasRenderingContext2D) => void,
  name: 'hatch' | 'none',
): CanvasPattern | null {
  if (isVector(pen)) return pen.makeTile(TILE, draw)
  let tile = tiles[name]
  if (!tile) {
    tile = document.createElement('canvas')
    tile.width = tile.height = TILE
    const small = tile.getContext('2d')
    if (small) draw(small)
    tiles[name] = tile
  }
  return pen.createPattern(tile, 'repeat')
}

export function hatchPattern(pen: CanvasRenderingContext2D): CanvasPattern | null {
  return makePattern(
    pen,
    (tile) => {
      tile.fillStyle = 'rgba(255,255,255,0.55)'
      for (let k = 0; k < TILE; k++) tile.fillRect(k, k, 1, 1)
    },
    'hatch',
  )
}

export function noDataPattern(pen: CanvasRenderingContext2D): CanvasPattern | null {
  return makePattern(
    pen,
    (tile) => {
      tile.fillStyle = 'rgba(128,132,140,0.75)'
      tile.fillRect(1, 1, 1, 1)
    },
    'none',
  )
}
