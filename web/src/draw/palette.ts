// Colours: red - paper - blue for quantities with two sides, paper - blue for gates; themes for light and dark.
// A second palette has the sign in its lightness.
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

/** The ends of the second palette: what is far from the paper is positive, what is near to it negative. */
const LIGHTNESS: Record<'light' | 'dark', Pick<Theme, 'middle' | 'negative' | 'positive'>> = {
  light: { negative: [255, 233, 208], middle: [170, 168, 172], positive: [14, 40, 88] },
  dark: { negative: [58, 14, 8], middle: [104, 106, 112], positive: [206, 230, 255] },
}

/** Return a theme whose colours differ in lightness from the lowest to the highest value, also in grey. */
export const lightnessSigned = (theme: Theme): Theme => ({
  ...theme,
  ...LIGHTNESS[theme.dark ? 'dark' : 'light'],
})

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

/** Return the relative luminance of a colour, 0 to 1 (WCAG 2.2). */
function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((channel) => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** Return the contrast of two colours, 1 to 21 (WCAG 2.2). */
function contrast(a: Rgb, b: Rgb): number {
  const [low, high] = [luminance(a), luminance(b)].sort((first, second) => first - second) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

const MIN_CONTRAST = 4.5
/** Letters on cells: the quiet ones where they can be read, black or white elsewhere. */
const QUIET_LETTERS: readonly Rgb[] = [
  [58, 63, 69],
  [201, 204, 209],
]
const STRONG_LETTERS: readonly Rgb[] = [
  [0, 0, 0],
  [255, 255, 255],
]

/** Return the colour of letters on a ground. */
function letterColour(ground: Rgb): Rgb {
  const quiet = QUIET_LETTERS.find((colour) => contrast(colour, ground) >= MIN_CONTRAST)
  if (quiet) return quiet
  const [black, white] = STRONG_LETTERS as [Rgb, Rgb]
  return contrast(white, ground) >= MIN_CONTRAST ? white : black
}

/** The level of "no data"; levels 1 to 255 are colours. */
export const NONE = 0

const LEVELS = 255

/** A table of colours, computed once: a frame looks up hundreds of thousands of cells. */
export class Palette {
  /** RGBA as little-endian 32-bit numbers; entry 0 is transparent. */
  readonly rgba = new Uint32Array(LEVELS + 1)
  /** The colour of letters on that colour. */
  readonly letters: string[] = ['']

  constructor(readonly theme: Theme) {
    for (let level = 1; level <= LEVELS; level++) {
      const rgb = colourAt(theme, (level - 1) / ((LEVELS - 1) / 2) - 1)
      this.rgba[level] = ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0
      this.letters.push(css(letterColour(rgb)))
    }
  }

  /** Return the colour of a level as CSS. */
  fill(level: number): string {
    const rgba = this.rgba[level]!
    return css([rgba & 255, (rgba >> 8) & 255, (rgba >> 16) & 255])
  }

  /** Return the level of a value on a scale; NONE for NaN. */
  level(scale: Scale, value: number): number {
    if (Number.isNaN(value)) return NONE
    const clamped = Math.max(-1, Math.min(1, position(scale, value)))
    return 1 + Math.round(((clamped + 1) * (LEVELS - 1)) / 2)
  }
}
