package provision

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Diff compares what is there with what is wanted. It is pure: it asks nobody and
// changes nothing, and the same arguments give the same plan. led is the service's
// ledger, or a new one.
func Diff(spec Spec, is *State, led *Ledger) (*Plan, error) {
	d := differ{spec: spec, is: is, led: led, plan: &Plan{
		ServiceID: is.ServiceID(), Name: spec.Name, Base: is.Version, Budget: is.Budget, Actions: []Action{}, state: is, ledger: led,
	}}
	if is.Service != nil {
		d.plan.Name = is.Service.Name
	}
	if err := d.possible(); err != nil {
		return nil, err
	}
	d.plan.Domain = chooseDomain(spec, is, led)
	for _, step := range Steps() {
		if err := d.step(step); err != nil {
			return nil, err
		}
	}
	d.warn()
	return d.plan, nil
}

// differ is one comparison.
type differ struct {
	spec Spec
	is   *State
	led  *Ledger
	plan *Plan
	// newSecrets and newKeys say that a store begins empty, which makes a step
	// necessary that was not asked for.
	newSecrets, newKeys bool
}

// possible reports what no plan can mend.
func (d *differ) possible() error {
	s := d.is.Service
	switch {
	case s == nil && d.spec.Only != "" && d.spec.Only != StepService:
		return &MissingError{Step: d.spec.Only, What: "there is no service yet", NoService: true}
	case s != nil && s.Type != "" && s.Type != fastly.Compute:
		return &KindError{s.ID, s.Name, s.Type}
	}
	return nil
}

func (d *differ) add(a Action) { d.plan.Actions = append(d.plan.Actions, a) }

func (d *differ) step(step Step) error {
	wanted := d.spec.wants(step)
	switch step {
	case StepActivate:
		d.activate(wanted)
		return nil
	case StepDomain: // a backend must not lead to a name that the service does not have
		wanted = wanted || d.spec.wants(StepBackendSelf)
	case StepPublishToken:
		wanted = wanted || d.newSecrets
	case StepSigningKey:
		wanted = wanted || d.newKeys
	case StepPackage:
		if wanted {
			return d.program()
		}
	}
	if !wanted {
		return nil
	}
	switch step {
	case StepService:
		d.service()
	case StepFanout:
		if !d.is.Fanout {
			d.add(Action{Step: step, Verb: Enable, Object: "Fanout", After: "its connections and messages are billed", Writes: 1})
		}
	case StepDomain:
		d.domain()
	case StepBackendSelf:
		d.backend(step, SelfBackend(selfDomain(d.plan.Domain, d.is, d.led)))
	case StepBackendAPI:
		d.backend(step, APIBackend())
	case StepConfigStore, StepSecretStore, StepKVKeys:
		d.store(step)
	case StepKVMessages:
		if d.spec.Only == step || d.spec.Messages && !d.led.NoMessages {
			d.store(step)
		}
	case StepPublishToken:
		d.publishToken()
	case StepSigningKey:
		d.signingKey()
	case StepSelfTest:
		d.selfTest()
	}
	return nil
}

func (d *differ) service() {
	switch {
	case d.is.Service == nil:
		d.add(Action{Step: StepService, Verb: Create, Object: d.spec.Name, Writes: 1})
	case !d.led.knows(ObjectService, d.is.Service.ID) && !d.ours():
		d.add(Action{Step: StepService, Verb: Adopt, Object: d.is.Service.Name + " (" + d.is.Service.ID + ")", After: "it stays when setup's work is torn down"})
	}
}

// ours reports whether the service carries the ledger's mark: it was made by a run
// that never heard of it.
func (d *differ) ours() bool { return strings.Contains(d.is.Service.Comment, d.led.Install) }

func (d *differ) program() error {
	is, want := d.is.Package, d.spec.Package
	switch {
	case want == nil && is.Name == AppName:
		return nil
	case want == nil && is.Name == "" && is.FilesHash == "":
		return &MissingError{Step: StepPackage, What: "there is no program to upload"}
	case want == nil:
		return &MissingError{Step: StepPackage, What: "the service runs another program, " + strconv.Quote(is.Name)}
	case is.FilesHash == want.FilesHash:
		return nil
	}
	a := Action{Step: StepPackage, Verb: Upload, Object: fmt.Sprintf("%s, %d KB", want.Name, (len(want.Content)+1023)/1024), After: hashed(want.FilesHash),
		Versioned: true, Writes: 1}
	if is.FilesHash != "" {
		a.Before = hashed(is.FilesHash)
	}
	d.add(a)
	return nil
}

// hashed is enough of a hash to tell it from another.
func hashed(h string) string { return "files " + h[:min(12, len(h))] }

// edgeSuffix ends the names that the platform gives away, with TLS.
const edgeSuffix = ".edgecompute.app"

// chooseDomain is the service's name on the network: the one asked for, the one it
// has, or the one made up for it.
func chooseDomain(spec Spec, is *State, led *Ledger) string {
	self, _ := is.Backend(BackendSelf)
	switch {
	case spec.Domain != "":
		return spec.Domain
	case led.Domain != "":
		return led.Domain
	}
	for _, d := range is.Domains {
		if strings.HasSuffix(d.Name, edgeSuffix) {
			return d.Name
		}
	}
	switch {
	case len(is.Domains) > 0:
		return is.Domains[0].Name
	case len(is.Custom) > 0:
		return is.Custom[0].Name
	case strings.HasSuffix(self.Address, edgeSuffix):
		return self.Address
	}
	return led.made()
}

// selfDomain is the name by which Fanout finds the service: one of the platform's
// own if there is one, because such a one has TLS from the start and stays.
func selfDomain(domain string, is *State, led *Ledger) string {
	if strings.HasSuffix(domain, edgeSuffix) {
		return domain
	}
	if strings.HasSuffix(led.Domain, edgeSuffix) {
		return led.Domain
	}
	for _, d := range is.Domains {
		if strings.HasSuffix(d.Name, edgeSuffix) {
			return d.Name
		}
	}
	if hasDomain(is.Domains, domain) {
		return domain
	}
	return led.made()
}

// domain adds the names that are not there: the one asked for, and the one by
// which the service reaches itself.
func (d *differ) domain() {
	names := []string{d.plan.Domain}
	if self := selfDomain(d.plan.Domain, d.is, d.led); self != d.plan.Domain {
		names = append([]string{self}, names...)
	}
	for _, name := range names {
		if !d.is.hasName(name) {
			d.add(Action{Step: StepDomain, Verb: Create, Object: name, Versioned: true, Writes: 1})
		}
	}
}

func (d *differ) backend(step Step, want fastly.Backend) {
	is, ok := d.is.Backend(want.Name)
	if !ok {
		d.add(Action{Step: step, Verb: Create, Object: want.Name, After: want.Address, Versioned: true, Writes: 1})
		return
	}
	if diff := BackendDiff(is, want); len(diff) > 0 {
		var changes []string
		for _, f := range diff {
			changes = append(changes, f.Field+" "+f.Is+" -> "+f.Want)
		}
		d.add(Action{Step: step, Verb: Update, Object: want.Name, After: strings.Join(changes, ", "), Versioned: true, Writes: 1})
	}
}

// store plans a store and its link, and for the config store its switches.
func (d *differ) store(step Step) {
	link, kind := storeOf(step)
	l, linked := d.is.Link(link)
	_, there := d.is.Stores[link]
	if linked && l.Kind == kind && there {
		if step == StepConfigStore {
			d.items(d.is.Items)
		}
		return
	}
	a := Action{Step: step, Verb: Create, Object: string(kind) + " store " + d.led.storeName(link), After: "linked as " + link, Versioned: true, Writes: 2}
	found, ok := findStore(d.is, d.led, link, kind)
	if ok {
		a.Object, a.Writes = string(kind)+" store "+found.Name, 1
		if o, made := d.led.Made(storeKind(kind), found.Name); !made || o.ID != found.ID {
			a.Verb = Adopt
		}
	} else {
		d.newSecrets = d.newSecrets || step == StepSecretStore
		d.newKeys = d.newKeys || step == StepKVKeys
	}
	if linked {
		a.Verb, a.Before = Replace, "linked to "+l.StoreID
		a.Writes++
	}
	d.add(a)
	if step == StepConfigStore {
		d.items(d.is.LooseItems[found.ID])
	}
}

// findStore is the store that a link should lead to, if there is one: the one that
// was made for it, or one that is linked under another name and is called for it.
func findStore(is *State, led *Ledger, link string, kind fastly.Kind) (fastly.Store, bool) {
	l, linked := is.Link(link)
	_, there := is.Stores[link]
	o, made := led.Made(storeKind(kind), led.storeName(link))
	if gone := linked && l.StoreID == o.ID && !there; made && !gone {
		return fastly.Store{Kind: kind, ID: o.ID, Name: o.Name}, true
	}
	var found []fastly.Store
	for _, s := range is.Loose {
		if s.Kind == kind && (s.Name == link || strings.HasSuffix(s.Name, "_"+link)) {
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return fastly.Store{}, false
}

// items plans the switches that are not as they should be.
func (d *differ) items(is map[string]string) {
	for _, c := range itemChanges(is, d.spec.ConfigItems) {
		a := Action{Step: StepConfigStore, Verb: Update, Object: "item " + c.name, Before: quoted(c.is), After: c.want, Writes: 1}
		if c.want == "" {
			a.After = "removed, which means true"
		}
		if c.is == "" {
			a.Before = ""
		}
		d.add(a)
	}
}

// itemChange is a switch to be set to want, or removed if that is empty.
type itemChange struct{ name, is, want string }

// itemChanges compares the switches with those asked for. What was not asked for
// and is neither true nor false would make the app refuse everything.
func itemChanges(is map[string]string, want map[string]bool) []itemChange {
	var all []itemChange
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v := btoa(want[name]); is[name] != v {
			all = append(all, itemChange{name, is[name], v})
		}
	}
	for _, name := range switchNames() {
		v, there := is[name]
		if _, asked := want[name]; there && !asked && v != "true" && v != "false" {
			all = append(all, itemChange{name, v, ""})
		}
	}
	return all
}

func (d *differ) publishToken() {
	given := d.spec.PublishToken.Reveal() != ""
	a := Action{Step: StepPublishToken, Verb: Store, Object: "secret " + SecretPublishToken, Writes: 2, Sensitive: true}
	switch {
	case d.is.Secret == nil && !given:
		a.Verb, a.After = Manual, "a token is needed"
	case d.is.Secret == nil || d.newSecrets:
	case !given, d.led.holds(d.spec.PublishToken, d.is.Secret.Digest):
		return
	default:
		a.Verb = Replace
	}
	d.add(a)
}

// holds reports whether a secret of this digest is the token.
func (l *Ledger) holds(token config.Secret, digest string) bool {
	return l.Secret == digest && l.TokenMark != "" && l.TokenMark == l.Mark(token)
}

// activate plans what puts the versioned changes into effect, or back into effect
// what somebody took out of it.
func (d *differ) activate(wanted bool) {
	changed := slices.ContainsFunc(d.plan.Actions, func(a Action) bool { return a.Versioned })
	if !changed && (!wanted || d.is.Active()) {
		return
	}
	a := Action{Step: StepActivate, Verb: Activate, Object: "version " + itoa(max(d.is.Version, 1)), Versioned: true, Writes: 1}
	switch {
	case changed && d.is.locked():
		a.Object, a.Writes = fmt.Sprintf("a clone of version %d", d.is.Version), 3
	case changed:
		a.Writes = 2
	}
	d.add(a)
}

func (d *differ) signingKey() {
	if !d.newKeys && d.led.KeyID != "" && slices.Contains(d.is.Keys, d.led.KeyID) {
		return
	}
	d.add(Action{Step: StepSigningKey, Verb: Create, Object: "signing key", After: "kept in the context", Writes: 1, Sensitive: true})
}

func (d *differ) selfTest() {
	if !d.spec.Test || d.plan.Empty() && d.spec.Only == "" && d.led.Tested == d.led.fingerprint(d.is.Version) {
		return
	}
	d.add(Action{Step: StepSelfTest, Verb: Probe, Object: "a message over SSE and over MQTT"})
}

// fingerprint is what a passed self-test is good for.
func (l *Ledger) fingerprint(version int) string {
	return fmt.Sprintf("version %d, key %s, token %s", version, l.KeyID, l.Secret)
}

// warn adds what a person should know before agreeing.
func (d *differ) warn() {
	for _, n := range d.is.Foreign {
		d.plan.Warnings = append(d.plan.Warnings, fmt.Sprintf("version %d has changes of somebody else that are not active; they stay out", n))
	}
	if p := d.spec.Package; p != nil && p.Name != AppName && d.plan.Has(StepPackage) {
		d.plan.Warnings = append(d.plan.Warnings, fmt.Sprintf("the package is called %q and not %q", p.Name, AppName))
	}
	if b := d.plan.Budget; b.Known && b.Remaining < d.plan.Writes() {
		d.plan.Warnings = append(d.plan.Warnings, fmt.Sprintf("only %d writes are left of the account's hour", b.Remaining))
	}
	if !strings.HasSuffix(d.plan.Domain, edgeSuffix) && d.plan.Has(StepDomain) {
		d.plan.Warnings = append(d.plan.Warnings, d.plan.Domain+" needs a TLS certificate and a DNS record at Fastly before it leads here")
	}
}
