package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// paper is a canvas on a file, and what was written to it.
func paper(t *testing.T) (*canvas, func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &canvas{out: &printer{file: file}}, func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func lines(texts ...string) (out []line) {
	for _, s := range texts {
		out = append(out, line{}.add(plain, s))
	}
	return out
}

func TestCursorIsShownAgainHoweverOftenItIsWiped(t *testing.T) {
	c, written := paper(t)
	c.draw(lines("one", "two"), 80, 24, false)
	c.draw(lines("one", "two"), 80, 24, false)
	c.wipe()
	c.wipe()
	c.draw(lines("late"), 80, 24, false)
	text := written()
	if strings.Count(text, hideCursor) != 1 || strings.Count(text, showCursor) != 1 || !strings.HasSuffix(text, showCursor) {
		t.Errorf("%q", text)
	}
	if strings.Contains(text, "late") {
		t.Error("drawn after the wipe")
	}
}

func TestUntouchedTerminalGetsNothing(t *testing.T) {
	c, written := paper(t)
	c.wipe()
	if text := written(); text != "" {
		t.Errorf("%q", text)
	}
}

func TestRedrawGoesUpByWhatStands(t *testing.T) {
	c, written := paper(t)
	c.draw(lines(strings.Repeat("x", 79), "short", "never seen"), 80, 3, false)
	before := len(written())
	c.draw(lines("a"), 40, 24, false) // the long line now takes two rows
	if text := written()[before:]; !strings.HasPrefix(text, wrapOff+"\r\x1b[3A"+"a"+clearLine) {
		t.Errorf("%q", text)
	}
	if strings.Contains(written(), "never") {
		t.Error("more lines than the terminal has rows")
	}
}

func TestWipeDoesNotWaitForATerminalThatIsHeldUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &canvas{out: &printer{file: w}}
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		for range 100 { // more than a pipe holds
			c.draw(lines(strings.Repeat("x", 4000)), 4000, 24, false)
		}
	}()
	begun := time.Now()
	c.wipe()
	if took := time.Since(begun); took > 5*lingers {
		t.Errorf("took %v", took)
	}
	r.Close() // lets the writers go
	<-drawn
	w.Close()
}
