package provision

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Summary is a service on one screen: what shows from outside, and, where the
// platform was asked, what it is made of.
type Summary struct {
	App     AppSummary      `json:"app"`
	Service *ServiceSummary `json:"service,omitempty"`
	// Made and Adopted count the objects that setup has noted on this machine.
	Made    int `json:"made_by_setup"`
	Adopted int `json:"adopted_by_setup"`
	// Pending is what setup would do; nil if that is not known.
	Pending []Action `json:"pending,omitzero"`
}

// AppSummary is the app as it shows from outside.
type AppSummary struct {
	URL     string `json:"url,omitempty"`
	Answers bool   `json:"answers"`
	// Detail says what came, for people.
	Detail string `json:"detail"`
	// SSE, HTTPPublish and Admin are its switches; false too if it does not answer.
	SSE         bool `json:"sse"`
	HTTPPublish bool `json:"http_publish"`
	Admin       bool `json:"admin"`
}

// ServiceSummary is what the service is made of.
type ServiceSummary struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Version int      `json:"version,omitempty"`
	Active  bool     `json:"active"`
	Drafts  []int    `json:"drafts,omitempty"`
	Domains []string `json:"domains"`
	Fanout  bool     `json:"fanout"`
	Package string   `json:"package,omitempty"`
	// Stores are the names of those behind the four links, by link.
	Stores map[string]string `json:"stores"`
	// TokenStored is when the publish token was stored; nil if there is none.
	TokenStored *time.Time `json:"publish_token_stored,omitempty"`
	// Keys are the ids of the signing keys.
	Keys []string `json:"keys"`
}

// Summarize puts together what Watch, Observe and the ledger say. is and led may be
// nil.
func Summarize(app AppSight, is *State, led *Ledger) Summary {
	hello := judgeHello(&Sighting{App: app})
	s := Summary{App: AppSummary{URL: app.URL, Answers: hello.Status == StatusOK, Detail: strings.TrimPrefix(hello.Detail, app.URL+" ")}}
	if s.App.Answers {
		s.App.SSE, s.App.HTTPPublish = app.Events.allows(http.MethodGet), app.Events.allows(http.MethodPost)
		s.App.Admin = app.Admin.Status != http.StatusNotFound
	}
	if led != nil {
		s.Made, s.Adopted = len(led.Created), len(led.Adopted)
	}
	if is == nil || is.Service == nil {
		return s
	}
	s.Service = summarizeService(is)
	if led == nil {
		led = &Ledger{}
	}
	plan, err := Diff(Spec{ServiceID: is.Service.ID, Adopt: true, Messages: true}, is, led)
	if err != nil {
		return s
	}
	s.Pending = slices.DeleteFunc(plan.Actions, func(a Action) bool {
		return a.Step == StepService || a.Step == StepSigningKey && len(is.Keys) > 0
	})
	return s
}

func summarizeService(is *State) *ServiceSummary {
	s := &ServiceSummary{ID: is.Service.ID, Name: is.Service.Name, Version: is.Version, Active: is.Active(), Drafts: is.Foreign,
		Domains: []string{}, Fanout: is.Fanout, Package: is.Package.Name, Stores: map[string]string{}, Keys: is.Keys}
	for _, d := range is.Domains {
		s.Domains = append(s.Domains, d.Name)
	}
	for _, d := range is.Custom {
		if !slices.Contains(s.Domains, d.Name) {
			s.Domains = append(s.Domains, d.Name)
		}
	}
	for link, store := range is.Stores {
		s.Stores[link] = store.Name
	}
	if s.Keys == nil {
		s.Keys = []string{}
	}
	if is.Secret != nil {
		s.TokenStored = stored(*is.Secret)
	}
	return s
}

func stored(s fastly.Secret) *time.Time {
	t := s.Created.UTC()
	return &t
}

// Links are the names under which the app looks for its stores, in order.
func Links() []string { return linkNames() }
