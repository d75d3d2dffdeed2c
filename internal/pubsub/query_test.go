package pubsub

import (
	"net/url"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestRawParam(t *testing.T) {
	for _, c := range []struct {
		name, query, param, want string
		ok                       bool
	}{
		{"plain", "topic=test", "topic", "test", true},
		{"nothing is decoded", "topic=a%2Fb+c", "topic", "a%2Fb+c", true},
		{"item 72, the first wins", "topic=a&topic=b", "topic", "a", true},
		{"item 63, no equals sign", "topic", "topic", "", false},
		{"no equals sign first", "topic&topic=b", "topic", "b", true},
		{"empty value", "ttl=&topic=a", "ttl", "", true},
		{"value with equals signs", "auth=a=b=", "auth", "a=b=", true},
		{"names are not decoded", "%74opic=a", "topic", "", false},
		{"another name's tail", "xtopic=a", "topic", "", false},
		{"empty query", "", "topic", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := RawParam(c.query, c.param); got != c.want || ok != c.ok {
				t.Errorf("RawParam(%q, %q) = %q, %t", c.query, c.param, got, ok)
			}
		})
	}
}

func TestQueryTopics(t *testing.T) {
	for _, c := range []struct {
		name, query string
		want        []Topic
	}{
		{"none", "durable=true&Topic=a", nil},
		{"empty query", "", nil},
		{"item 58, slash encoded and not", "topic=a%2Fb&topic=a/b", []Topic{"a/b"}},
		{"item 58, plus is a space", "topic=a+b", []Topic{"a b"}},
		{"item 44, duplicates collapse", "topic=test&topic=test", []Topic{"test"}},
		{"item 45, empty value", "topic=", []Topic{""}},
		{"no equals sign", "topic", []Topic{""}},
		{"sorted by bytes", "topic=b&topic=B&topic=a", []Topic{"B", "a", "b"}},
		{"name decoded too", "%74opic=a", []Topic{"a"}},
		{"lone percent signs stay", "topic=100%&topic=%zz&topic=%4", []Topic{"%4", "%zz", "100%"}},
		{"lower-case hex", "topic=%c3%a9", []Topic{"é"}},
		{"bytes that are not UTF-8", "topic=%FF%FE", []Topic{"\uFFFD\uFFFD"}},
		{"a broken-off character is one piece", "topic=%E2%82x%F0%9F%98", []Topic{"\uFFFDx\uFFFD"}},
		{"surrogates are three pieces", "topic=%ED%A0%80", []Topic{"\uFFFD\uFFFD\uFFFD"}},
		{"raw bytes", "topic=\xff", []Topic{"\uFFFD"}},
		{"equals sign in the value", "topic=a=b", []Topic{"a=b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := QueryTopics(c.query); !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("QueryTopics(%q) = %q, want %q", c.query, got, c.want)
			}
		})
	}
}

func TestNormalizeQuery(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"ordinary text stays", "topic=a%2fb+c&x=[]{}|^`\\~!$*(),;:@?/", "topic=a%2fb+c&x=[]{}|^`\\~!$*(),;:@?/"},
		{"the special set", "a b\"<>#'", "a%20b%22%3C%3E%23%27"},
		{"controls", "\x00\x1f\x7f", "%00%1F%7F"},
		{"outside ASCII", "é\xff", "%C3%A9%FF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := NormalizeQuery(c.in); got != c.want {
				t.Errorf("NormalizeQuery(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestQueryReadersAllocateLittle(t *testing.T) {
	const query = "topic=test&durable=true&auth=abcdef"
	if n := testing.AllocsPerRun(100, func() { RawParam(NormalizeQuery(query), "auth") }); n != 0 {
		t.Errorf("raw reading makes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { QueryTopics(query) }); n > 1 {
		t.Errorf("reading one plain topic makes %v allocations", n)
	}
}

func FuzzQueryTopics(f *testing.F) {
	for _, s := range []string{"topic=a%2Fb&topic=a+b", "%74opic=%E2%82", "&&topic&=", "topic=%", "topic=\xff'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		topics, form := QueryTopics(query), url.Values{}
		for _, topic := range topics {
			if !utf8.ValidString(string(topic)) {
				t.Errorf("topic %q of %q is not UTF-8", topic, query)
			}
			form.Add("topic", string(topic))
		}
		if got := QueryTopics(form.Encode()); !slices.Equal(got, topics) {
			t.Errorf("%q gives %q, encoded again %q", query, topics, got)
		}
		if got := QueryTopics(NormalizeQuery(query)); !slices.Equal(got, topics) {
			t.Errorf("%q gives %q, normalised %q", query, topics, got)
		}
	})
}

func BenchmarkQueryTopics(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		QueryTopics("topic=orders&durable=true&auth=abcdef")
	}
}
