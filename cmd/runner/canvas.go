package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A canvas is a picture on a terminal that is drawn again and again in the same
// place. It keeps the cursor hidden from the first picture to wipe.
type canvas struct {
	out *printer

	mu     sync.Mutex
	drawn  []int // widths of the lines that stand on the terminal
	hidden bool  // the cursor is
	closed bool  // nothing is drawn any more
}

// What a terminal understands.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	wrapOff    = "\x1b[?7l" // a line that is too long is cut and breaks no picture
	wrapOn     = "\x1b[?7h"
	clearDown  = "\x1b[J"
	clearLine  = "\x1b[K"
)

// draw puts lines in the place of those drawn before: as many as the terminal
// has room for.
func (c *canvas) draw(lines []line, width, height int, color bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	var b strings.Builder
	if !c.hidden {
		c.hidden = true
		b.WriteString(hideCursor)
	}
	b.WriteString(wrapOff + c.home(width))
	c.drawn = c.drawn[:0]
	for _, l := range lines[:min(len(lines), max(height-1, 0))] {
		// In the last column there is no telling where the cursor stands.
		b.WriteString(l.render(width-1, color) + clearLine + "\r\n")
		c.drawn = append(c.drawn, utf8.RuneCountInString(l.render(width-1, false)))
	}
	b.WriteString(clearDown + wrapOn)
	fmt.Fprint(c.out, b.String())
}

// home returns what moves the cursor to where the picture begins. A terminal
// that became narrower has broken the lines that no longer fit.
func (c *canvas) home(width int) string {
	rows := 0
	for _, n := range c.drawn {
		rows += max(1, (n+width-1)/width)
	}
	if rows == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", rows)
}

// clear takes the picture away and shows the cursor again. Another may follow.
func (c *canvas) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hidden || c.closed {
		return
	}
	c.hidden = false
	width, _ := c.out.size()
	fmt.Fprint(c.out, c.home(width)+clearDown+showCursor)
	c.drawn = nil
}

// lingers is how long wipe waits for a terminal that takes nothing more.
const lingers = 500 * time.Millisecond

// wipe takes the picture away and shows the cursor again; nothing is drawn
// after it. It may be called at any time, from any goroutine, more than once.
func (c *canvas) wipe() {
	done := make(chan struct{})
	go func() { // which stays behind only where the terminal is held up, until the process ends
		defer close(done)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		if !c.hidden {
			return
		}
		c.hidden = false
		width, _ := c.out.size()
		fmt.Fprint(c.out, c.home(width)+clearDown+showCursor)
		c.drawn = nil
	}()
	patience := time.NewTimer(lingers)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}
