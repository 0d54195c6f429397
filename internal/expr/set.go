package expr

import (
	"fmt"
	"slices"
	"sort"
)

// Set is a list to pick from, uniform or weighted, in file order.
type Set struct {
	values []Value
	upto   []uint64 // running sums of the weights; nil means uniform
	total  uint64
}

// NewSet returns a set; weights nil means uniform. Weights are positive
// integers, one for each value; their sum must stay below 2^63. A weight of
// zero or less is never picked. NewSet panics if the lengths differ.
func NewSet(values []Value, weights []int) *Set {
	s := &Set{values: slices.Clone(values), total: uint64(len(values))}
	if weights == nil {
		return s
	}
	if len(weights) != len(values) {
		panic(fmt.Sprintf("expr: %d weights for %d values", len(weights), len(values)))
	}
	s.total = 0
	s.upto = make([]uint64, len(weights))
	for i, w := range weights {
		s.total += uint64(max(w, 0))
		s.upto[i] = s.total
	}
	return s
}

// Len returns the number of values.
func (s *Set) Len() int { return len(s.values) }

// Values returns the values in file order.
func (s *Set) Values() []Value { return slices.Clone(s.values) }

// Pick returns the value that 64 uniform bits decide, unset if there is nothing to pick.
func (s *Set) Pick(draw uint64) Value {
	if s.total == 0 {
		return Value{}
	}
	r := below(draw, s.total)
	if s.upto == nil {
		return s.values[r]
	}
	return s.values[sort.Search(len(s.upto), func(i int) bool { return s.upto[i] > r })]
}

// At returns the element n modulo the length: 1 is the second element, -1 the
// last. It is unset only for an empty set.
func (s *Set) At(n int64) Value {
	if len(s.values) == 0 {
		return Value{}
	}
	i := n % int64(len(s.values))
	if i < 0 {
		i += int64(len(s.values))
	}
	return s.values[i]
}

// kind is the kind of all values, Nil when they differ.
func (s *Set) kind() Kind {
	if len(s.values) == 0 {
		return Nil
	}
	k := s.values[0].kind
	for _, v := range s.values {
		if v.kind != k {
			return Nil
		}
	}
	return k
}
