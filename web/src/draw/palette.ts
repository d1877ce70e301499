// Colours: red - paper - blue for quantities with two sides, paper - blue for gates; themes for light and dark.
import { position, type Scale } from '../model/scale'

export type Rgb = readonly [number, number, number]

export interface Theme {
  dark: boolean
  paper: string
  panel: string
  ink: string
  mute: string
  line: string
  accent: string
  bar: string
  barQuiet: string
  warn: string
  /** The frame of held cells. */
  held: string
  good: string
  /** Grounds of correct and wrong predictions. */
  right: string
  wrong: string
  /** Colours of the first classes; further ones have no colour of their own. */
  classes: readonly string[]
  chip: string
  chipFull: string
  middle: Rgb
  negative: Rgb
  positive: Rgb
}

export const LIGHT: Theme = {
  dark: false,
  paper: '#fbfbf9',
  panel: '#ffffff',
  ink: '#1c1f23',
  mute: '#636b77',
  line: '#e4e4df',
  accent: '#1f5fa8',
  bar: '#b9cde4',
  barQuiet: '#dededa',
  warn: '#b4232a',
  held: '#b97a00',
  good: '#22703f',
  right: '#d5eadb',
  wrong: '#f6d3cf',
  classes: ['#e3b36b', '#86b0de', '#8fc7a4', '#c9a3d6', '#b9b4a8', '#d99a94'],
  chip: '#e9edf2',
  chipFull: '#bcd4f0',
  middle: [246, 246, 243],
  negative: [190, 50, 42],
  positive: [27, 90, 168],
}

export const DARK: Theme = {
  dark: true,
  paper: '#131518',
  panel: '#1a1d21',
  ink: '#e6e7e9',
  mute: '#9aa1ab',
  line: '#2b2f35',
  accent: '#7fb2f0',
  bar: '#2f527d',
  barQuiet: '#34383f',
  warn: '#ff8f86',
  held: '#e0a83a',
  good: '#6cc38b',
  right: '#1f4430',
  wrong: '#5a2a28',
  classes: ['#8a6426', '#2f5f95', '#2f6b48', '#6b4679', '#57534b', '#7d413c'],
  chip: '#22272d',
  chipFull: '#2b4c72',
  middle: [30, 33, 38],
  negative: [216, 78, 66],
  positive: [64, 134, 219],
}

const mix = (a: Rgb, b: Rgb, t: number): Rgb => [
  Math.round(a[0] + (b[0] - a[0]) * t),
  Math.round(a[1] + (b[1] - a[1]) * t),
  Math.round(a[2] + (b[2] - a[2]) * t),
]

/** Return the colour at a position -1..1, interpolated evenly. */
export function colourAt(theme: Theme, position: number): Rgb {
  const clamped = Math.max(-1, Math.min(1, position))
  return mix(theme.middle, clamped < 0 ? theme.negative : theme.positive, Math.abs(clamped))
}

export const css = (rgb: Rgb): string => `rgb(${rgb.join(',')})`

const luminance = ([r, g, b]: Rgb): number => 0.2126 * r + 0.7152 * g + 0.0722 * b

/** The level of "no data"; levels 1 to 255 are colours. */
export const NONE = 0

const LEVELS = 255

/** A table of colours, computed once: a frame looks up hundreds of thousands of cells. */
export class Palette {
  /** RGBA as little-endian 32-bit numbers; entry 0 is transparent. */
  readonly rgba = new Uint32Array(LEVELS + 1)
  /** 1 if letters on that colour must be light. */
  readonly light = new Uint8Array(LEVELS + 1)

  constructor(readonly theme: Theme) {
    for (let level = 1; level <= LEVELS; level++) {
      const rgb = colourAt(theme, (level - 1) / ((LEVELS - 1) / 2) - 1)
      this.rgba[level] = ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0
      this.light[level] = theme.dark ? Number(luminance(rgb) > 60) : Number(luminance(rgb) < 150)
    }
  }

  /** Return the level of a value on a scale; NONE for NaN. */
  level(scale: Scale, value: number): number {
    if (Number.isNaN(value)) return NONE
    const clamped = Math.max(-1, Math.min(1, position(scale, value)))
    return 1 + Math.round(((clamped + 1) * (LEVELS - 1)) / 2)
  }
}
