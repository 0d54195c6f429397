//go:build linux

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// A law says how long requests take to answer.
type law struct {
	median time.Duration
	sigma  float64 // of the logarithm; 0: all take the median
	chance *rand.Rand
}

// parseLaw reads "20ms" (fixed) or "20ms,0.5" (lognormal: median and sigma).
func parseLaw(text string) (*law, error) {
	median, sigma, spread := strings.Cut(text, ",")
	d, err := time.ParseDuration(median)
	if err != nil || d < 0 {
		return nil, fmt.Errorf("--delay %s: write 20ms, or 20ms,0.5 for a lognormal of this median and sigma", text)
	}
	l := &law{median: d, chance: rand.New(rand.NewPCG(1, 2))}
	if spread {
		if _, err := fmt.Sscanf(sigma, "%g", &l.sigma); err != nil || l.sigma < 0 {
			return nil, fmt.Errorf("--delay %s: %q is not a sigma such as 0.5", text, sigma)
		}
	}
	return l, nil
}

// draw returns the next delay in nanoseconds.
func (l *law) draw() int64 {
	return int64(float64(l.median) * math.Exp(l.sigma*l.chance.NormFloat64()))
}

// A held response waits for its time.
type held struct {
	at         int64 // Unix nanoseconds
	fd         int32
	generation uint32
	record     int32 // index of its truth.Request
	post       bool
	close      bool
}

// queue is a binary heap of held responses, the earliest first.
type queue []held

func (q *queue) push(h held) {
	*q = append(*q, h)
	s := *q
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (q *queue) pop() held {
	s := *q
	first, last := s[0], len(s)-1
	s[0] = s[last]
	s = s[:last]
	*q = s
	for i := 0; ; {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < last; down++ {
			if s[down].at < s[least].at {
				least = down
			}
		}
		if least == i {
			return first
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
