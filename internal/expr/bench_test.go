package expr

import "testing"

// bodyOfFive is a JSON body with five expressions, as a POST under load has it.
func bodyOfFive(t testing.TB) *Text {
	c := NewCompiler(names())
	var b Builder
	b.Literal(`{"id":`)
	for i, src := range []string{"${uuid()}", "${int(1, 5)}", "${float(45.0017, 46.0017)}", "${pick(category)}", "${token}"} {
		if i > 0 {
			b.Literal(`,"key":`)
		}
		x, err := c.Text(src, JSONText)
		if err != nil {
			t.Fatal(err)
		}
		b.Text(x)
	}
	b.Literal("}")
	return b.Build()
}

func TestCommonExpressionsDoNotAllocate(t *testing.T) {
	x := NewCompiler(names())
	c, buf := someone(), make([]byte, 0, 4096)
	texts := map[string]*Text{"a body of five": bodyOfFive(t)}
	for src, m := range map[string]Mode{
		"/alerts/${token}?at=${now()}": Target,
		"Bearer ${token}":              Header,
		"Basic ${base64(token)}":       Header,
		"Incident ${now()} ${text(8)}": JSONText,
		"${now('2006-01-02')}":         JSONText,
		"${format('%s', token)}":       JSONText,
		"${alert ?? token}":            JSONText,
		"${pick(category, n)}":         JSONText,
		"${pick(severity)}":            JSONText,
		"${int(1, n)}":                 JSONText,
		"${user.id} ${iteration}":      Plain,
	} {
		var err error
		if texts[src], err = x.Text(src, m); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range texts {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := x.Append(buf[:0], c); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func benchmarkText(b *testing.B, x *Text) {
	c, buf := someone(), make([]byte, 0, 4096)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := x.Append(buf[:0], c); err != nil {
			b.Fatal(err)
		}
		c.Iteration++
		c.Key += golden
	}
}

func BenchmarkFiveSlots(b *testing.B) { benchmarkText(b, bodyOfFive(b)) }

func BenchmarkExprLang(b *testing.B) { benchmarkText(b, text(b, "${n + int(1, 3)}", JSONText)) }

func BenchmarkParts(b *testing.B) {
	for _, src := range []string{"${uuid()}", "${int(1, 5)}", "${float(45.0017, 46.0017)}", "${pick(category)}", "${token}", "${now()}", "${text(16)}", `${format("R%04d", n)}`, "${fake.name()}"} {
		b.Run(src, func(b *testing.B) { benchmarkText(b, text(b, src, JSONText)) })
	}
}

func BenchmarkUnset(b *testing.B) {
	x, c, buf := text(b, "Bearer ${alert}", Header), someone(), make([]byte, 0, 64)
	b.ReportAllocs()
	for range b.N {
		if _, err := x.Append(buf, c); err == nil {
			b.Fatal("an unset value is written")
		}
	}
}
