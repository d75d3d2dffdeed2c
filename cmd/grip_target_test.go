package cmd

import (
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

func TestServiceOfAnAddressOnThisMachine(t *testing.T) {
	value := func(text string, l config.Level) config.Value {
		return config.Value{Text: text, Origin: config.Origin{Level: l}}
	}
	for _, c := range []struct {
		rule         string
		url, service config.Level
		want         bool
	}{
		{"a context names both", config.FromContext, config.FromContext, true},
		{"the command line names the service", config.Default, config.Flag, true},
		{"only the directory names a service", config.Default, config.FromFastly, false},
		{"only the project names a service", config.FromContext, config.FromProject, false},
		{"only a variable names a service", config.Default, config.Environment, false},
		{"the address is not the context's", config.Environment, config.FromContext, false},
	} {
		s := &config.Settings{URL: value("http://127.0.0.1:7999", c.url), ServiceID: value("abc", c.service)}
		if got := standsIn(s); got != c.want {
			t.Errorf("%s: %v, want %v", c.rule, got, c.want)
		}
	}
	s := &config.Settings{URL: value("http://localhost:7999", config.FromContext)}
	if at, err := relayTarget(s); err != nil || at.String() != "http://127.0.0.1:5561/publish/" {
		t.Errorf("the usual relay is at %v, %v", at, err)
	}
}
