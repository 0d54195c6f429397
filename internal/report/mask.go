package report

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// masked stands where a secret was.
const masked = "***"

// minSecret is the length in bytes from which a secret is masked. A shorter one
// is guessed at once, and masking it would tear holes into every number.
const minSecret = 4

// Mask hides secrets in text, in each form in which they travel.
type Mask struct {
	forms    []string // longest first
	replacer *strings.Replacer
}

// NewMask returns what hides secrets; those of fewer than 4 bytes it lets be.
func NewMask(secrets []string) *Mask {
	m := &Mask{}
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range forms(s) {
			m.forms = append(m.forms, form, clean(form))
		}
	}
	m.forms = slices.DeleteFunc(m.forms, func(form string) bool { return len(form) < minSecret })
	slices.SortFunc(m.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m.forms = slices.Compact(m.forms)
	var pairs []string
	for _, form := range m.forms {
		pairs = append(pairs, form, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
	return m
}

// text returns s clean and without secrets. It looks twice, because dropping a
// control character may join the halves of a secret.
func (m *Mask) text(s string) string {
	return m.tail(m.Hide(clean(m.Hide(s))))
}

// Hide returns s without secrets, and otherwise as it is: of those, too, that
// somebody cut short and put an ellipsis in the place of the rest.
func (m *Mask) Hide(s string) string {
	s = m.replacer.Replace(s)
	if !strings.Contains(s, ellipsis) {
		return s
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, ellipsis)
		if !found {
			b.WriteString(before)
			return b.String()
		}
		if n := m.begun(before); n > 0 {
			before = before[:len(before)-n] + masked
		}
		b.WriteString(before + ellipsis)
		s = after
	}
}

// ellipsis stands where a long text was cut.
const ellipsis = "…"

// begun returns how many bytes at the end of s are the beginning of a secret.
func (m *Mask) begun(s string) int {
	for _, form := range m.forms {
		for n := len(form) - 1; n >= minSecret; n-- {
			if strings.HasSuffix(s, form[:n]) {
				return n
			}
		}
	}
	return 0
}

// tail masks the beginning of a secret at the end of a message that was cut
// for its length.
func (m *Mask) tail(s string) string {
	if len(s) < longMessage || utf8.RuneCountInString(s) < longMessage {
		return s
	}
	if n := m.begun(s); n > 0 {
		return s[:len(s)-n] + masked
	}
	return s
}

// longMessage is below the length in characters at which measure cuts messages,
// by what masking inside one may have taken away.
const longMessage = 500

// forms returns the ways in which a secret is written.
func forms(secret string) []string {
	out := []string{secret}
	for _, escaped := range []string{url.QueryEscape(secret), url.PathEscape(secret)} {
		out = append(out, escaped, lowerHex(escaped))
	}
	quoted, _ := json.Marshal(secret) // with < as \u003c
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(secret) // a string always encodes
	for _, q := range []string{string(quoted), strings.TrimSuffix(b.String(), "\n"), strconv.Quote(secret)} {
		// Messages quote in Go's way what they were told, which may be JSON.
		again := strconv.Quote(q[1 : len(q)-1])
		out = append(out, q[1:len(q)-1], again[1:len(again)-1])
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		out = append(out, encoding.EncodeToString([]byte(secret)))
		out = append(out, inBase64(encoding, secret)...)
	}
	return out
}

// lowerHex writes %2F as %2f.
func lowerHex(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(escaped[i+1:i+3]))
		}
	}
	return string(b)
}

// inBase64 returns what the secret looks like inside the base64 of a longer
// text, such as user:secret in a Basic Authorization header. Base64 writes three
// bytes as four characters, so there are three cases, by how many bytes before
// the secret share its first group; the characters that hold bits of its
// neighbours are left out.
func inBase64(encoding *base64.Encoding, secret string) []string {
	var out []string
	for before := range 3 {
		text := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
		text = text[(before*8+5)/6:]
		if (before+len(secret))%3 != 0 {
			text = text[:len(text)-1]
		}
		out = append(out, text)
	}
	return out
}
