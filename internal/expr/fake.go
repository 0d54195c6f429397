package expr

import (
	"strconv"
	"strings"

	"github.com/brianvoe/gofakeit/v7"
)

// fake is fake.name() and its friends, made from a stream of the draw alone.
// The same seed gives the same people as long as the word lists stay the same.
type fake struct {
	draw draw
	make func(*gofakeit.Faker) string
}

func (n *fake) eval(c *Ctx) (Value, error) {
	return Str(n.make(gofakeit.NewFaker(&stream{n.draw.bits(c)}, false))), nil
}
func (n *fake) kind() Kind { return String }

var fakes = map[string]func(*gofakeit.Faker) string{
	"fake.name":       (*gofakeit.Faker).Name,
	"fake.first_name": (*gofakeit.Faker).FirstName,
	"fake.last_name":  (*gofakeit.Faker).LastName,
	"fake.email":      fakeEmail,
	"fake.phone":      (*gofakeit.Faker).Phone,
	"fake.street":     (*gofakeit.Faker).Street,
	"fake.city":       (*gofakeit.Faker).City,
	"fake.country":    (*gofakeit.Faker).Country,
	"fake.company":    (*gofakeit.Faker).Company,
}

// fakeEmail is always at a domain that RFC 2606 reserves, so that no test ever
// writes to a person.
func fakeEmail(f *gofakeit.Faker) string {
	domains := [...]string{"example.com", "example.org", "example.net"}
	return asciiLetters(f.FirstName()) + "." + asciiLetters(f.LastName()) +
		strconv.Itoa(f.IntN(10000)) + "@" + domains[f.IntN(len(domains))]
}

func asciiLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// fakeSentence returns n words as a sentence.
func fakeSentence(n int) func(*gofakeit.Faker) string {
	return func(f *gofakeit.Faker) string {
		var words []string
		for len(words) < n {
			words = append(words, strings.Fields(f.Word())...)
		}
		s := strings.Join(words[:n], " ")
		return strings.ToUpper(s[:1]) + s[1:] + "."
	}
}
