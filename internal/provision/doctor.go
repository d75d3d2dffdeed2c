package provision

import (
	"slices"
	"strings"
	"time"
)

// Status is the verdict of one check.
type Status string

// The verdicts.
const (
	StatusOK   Status = "ok"
	StatusWarn Status = "warn" // works, and may stop to
	StatusFail Status = "fail"
	StatusSkip Status = "skip" // could not be judged, or another check explains it
)

// Finding is what one check found.
type Finding struct {
	// Name is the check's, which where it concerns a step of setup is the step's.
	Name   string
	Status Status
	// Detail is the evidence, Why the cause, Fix the command that helps. Why and Fix
	// are empty unless there is something to do.
	Detail, Why, Fix string
}

// Sighting is everything a diagnosis is made from.
type Sighting struct {
	// Now is the time of looking.
	Now time.Time
	// App is what shows from outside.
	App AppSight
	// Platform is what the platform's API tells; nil if it was not asked, and then
	// Blind says why.
	Platform *PlatformSight
	Blind    string
	// Domain is the host of the app's address if it is one on the internet.
	Domain string
	// Restart is the command that starts the relay at the address as it should be;
	// empty for anything but a relay on this machine.
	Restart string
	// Fix completes a command of pubsubctl so that it concerns this service; nil
	// leaves it as it is.
	Fix func(command string) string
}

// check is one row of the diagnosis.
type check struct {
	name string
	// id is the number under which Fastly's users know it from our documentation.
	id string
	// needs names checks without which this one cannot be judged.
	needs []string
	// causes names checks whose failure explains a failure of this one.
	causes []string
	// platform says that it needs the platform's API.
	platform bool
	judge    func(*Sighting) Finding
}

// checks are all rows in the order they are made and shown: a cause comes before
// its effects.
func checks() []check {
	all := platformChecks()
	return append(all, appChecks()...)
}

// Checks names all checks in order.
func Checks() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// CheckNamed gives the name of a check from its name or number, such as D05.
func CheckNamed(word string) (name string, ok bool) {
	for _, c := range checks() {
		if c.name == word || strings.EqualFold(c.id, word) {
			return c.name, true
		}
	}
	return "", false
}

// Required lists the checks that must be made so that the ones named can be
// judged: what they need and what may explain their failure.
func Required(names []string) []string {
	var out []string
	all := checks()
	var add func(name string)
	add = func(name string) {
		i := slices.IndexFunc(all, func(c check) bool { return c.name == name })
		if i < 0 || slices.Contains(out, name) {
			return
		}
		out = append(out, name)
		for _, n := range slices.Concat(all[i].needs, all[i].causes) {
			add(n)
		}
	}
	for _, n := range names {
		add(n)
	}
	return out
}

// Diagnose judges what was seen. A fault shows in one check, the one that is
// nearest to its cause; those that only suffer from it are skipped and say so.
func Diagnose(s Sighting) []Finding {
	if s.Fix == nil {
		s.Fix = func(command string) string { return command }
	}
	verdicts := map[string]Status{}
	blamed := map[string]string{} // a skipped check → the failed one that is to blame
	var out []Finding
	for _, c := range checks() {
		f := c.run(&s, verdicts, blamed)
		verdicts[c.name] = f.Status
		f.Fix = s.fixed(f.Fix)
		out = append(out, f)
	}
	return out
}

// fixed is a command for this service: what setup repairs of a hosted one, a relay
// gets right when it is started without what was asked to be wrong.
func (s *Sighting) fixed(command string) string {
	switch {
	case s.Restart != "" && strings.HasPrefix(command, "pubsubctl setup"):
		return s.Restart
	case strings.HasPrefix(command, "pubsubctl ") && command != s.Restart:
		return s.Fix(command)
	}
	return command
}

// run judges one check, unless it cannot be judged.
func (c check) run(s *Sighting, verdicts map[string]Status, blamed map[string]string) Finding {
	if c.platform && s.Platform == nil {
		return Finding{Name: c.name, Status: StatusSkip, Detail: s.Blind}
	}
	if root := rootOf(c.needs, verdicts, blamed); root != "" {
		blamed[c.name] = root
		return Finding{Name: c.name, Status: StatusSkip, Detail: "cannot be checked before " + root + " is right"}
	}
	f := c.judge(s)
	f.Name = c.name
	if f.Status != StatusFail {
		return f
	}
	if root := rootOf(c.causes, verdicts, blamed); root != "" {
		blamed[c.name] = root
		return Finding{Name: c.name, Status: StatusSkip, Detail: "fails (" + f.Detail + "), which " + root + " explains"}
	}
	return f
}

// rootOf is the failed check behind any of names, or nothing.
func rootOf(names []string, verdicts map[string]Status, blamed map[string]string) string {
	for _, n := range names {
		if verdicts[n] == StatusFail {
			return n
		}
		if root := blamed[n]; root != "" {
			return root
		}
	}
	return ""
}

// The few ways to end a check.
func ok(detail string) Finding      { return Finding{Status: StatusOK, Detail: detail} }
func skipped(detail string) Finding { return Finding{Status: StatusSkip, Detail: detail} }

func failed(detail, why, fix string) Finding {
	return Finding{Status: StatusFail, Detail: detail, Why: why, Fix: fix}
}

func warned(detail, why, fix string) Finding {
	return Finding{Status: StatusWarn, Detail: detail, Why: why, Fix: fix}
}
