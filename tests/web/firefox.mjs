// Drives Firefox for tests/web/firefox.py: reads one JSON call a line, [name, ...arguments], and answers with one line,
// {"value": ...} or {"error": ...}.
import { createInterface } from 'node:readline'
import puppeteer from '../../web/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js'

const [, , executablePath, timeout] = process.argv
const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true })
const page = await browser.newPage()
page.setDefaultTimeout(Number(timeout))
await page.setViewport({ width: 1280, height: 800 })

const problems = []
const requests = []
page.on('console', (message) => problems.push(`console.${message.type()}: ${message.text()}`))
page.on('pageerror', (error) => problems.push(`error: ${error.message}`))
page.on('request', (request) => requests.push(request.url()))

const calls = {
  open: async (url) => {
    await page.goto(url, { waitUntil: 'load' })
  },
  click: (selector) => page.locator(selector).click(),
  fill: (selector, text) => page.locator(selector).fill(text),
  press: (key) => page.keyboard.press(key),
  // Wait until an expression of JavaScript is true in the page.
  wait: async (expression) => {
    await page.waitForFunction(expression)
  },
  evaluate: (expression) => page.evaluate(expression),
  report: () => ({ problems, requests }),
  screenshot: (path) => page.screenshot({ path }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line)
  try {
    const value = await calls[name](...given)
    console.log(JSON.stringify({ value: name === 'screenshot' ? null : (value ?? null) }))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }))
  }
}
await browser.close()
