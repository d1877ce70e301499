// The script tag of a static site: shows a run of the site in a frame, in place of the tag.
//
//     <script src="https://example.org/site/gatescope-embed.js" data-run="counter" data-text="aaaXbbb"></script>
//
// The attributes are those of the page's address (docs/explorer.md), and data-title and data-height for the frame.

import { fitHeight, MIN_HEIGHT } from './frame'

const FIELDS = ['run', 'view', 'layer', 'signal', 'neuron', 'step', 'text', 'sort', 'feature', 'checkpoint', 'lang']
const DEFAULT_HEIGHT = 640

function embed(script: HTMLScriptElement): void {
  const { dataset } = script
  const address = new URL('index.html', script.src)
  for (const field of FIELDS) if (dataset[field] !== undefined) address.searchParams.set(field, dataset[field]!)
  for (const hold of dataset['hold']?.trim().split(/\s+/) ?? []) address.searchParams.append('hold', hold)
  if (dataset['run'] !== undefined && dataset['view'] === undefined) address.searchParams.set('view', 'network')
  const maxHeight = Math.max(MIN_HEIGHT, Number(dataset['height']) || DEFAULT_HEIGHT)
  const frame = document.createElement('iframe')
  frame.src = address.href
  frame.title = dataset['title'] || ['gatescope', dataset['run']].filter(Boolean).join(' · ')
  frame.loading = 'lazy'
  Object.assign(frame.style, { display: 'block', width: '100%', height: `${maxHeight}px`, border: '0' })
  window.addEventListener('message', ({ source, data }) => {
    if (source === frame.contentWindow) fitHeight(frame, data, maxHeight)
  })
  script.replaceWith(frame)
}

if (document.currentScript instanceof HTMLScriptElement) embed(document.currentScript)
