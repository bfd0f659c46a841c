package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// root is that of the repository.
const root = "../.."

// build is what kubectl kustomize prints of a folder, decoded by the API's own types. A key that
// they do not have is an error.
func build(t *testing.T, folder string, outside bool) (all []runtime.Object) {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	if outside {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	made, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy/kubernetes", folder))
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Strict: true})
	for _, r := range made.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", r.CurId(), err)
			continue
		}
		all = append(all, object)
	}
	return all
}

// of are the objects of a type.
func of[T any](all []runtime.Object) (some []T) {
	for _, object := range all {
		if o, ok := object.(T); ok {
			some = append(some, o)
		}
	}
	return some
}

func TestKubernetes(t *testing.T) {
	for _, tt := range []struct {
		folder  string
		outside bool
		configs map[string]string // ConfigMap to file
	}{
		{"base", false, map[string]string{"hopscope-gateway": "base"}},
		{"overlays/sidecar", false, map[string]string{"hopscope-gateway": "base", "hopscope-web": "overlays/sidecar"}},
		{"overlays/monitoring", true, map[string]string{"hopscope-gateway": "base", "hopscope-web": "overlays/sidecar"}},
	} {
		t.Run(filepath.Base(tt.folder), func(t *testing.T) {
			all := build(t, tt.folder, tt.outside)
			for name, folder := range tt.configs {
				want, err := os.ReadFile(filepath.Join(root, "deploy/kubernetes", folder, "hopscope.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(of[*corev1.ConfigMap](all), func(c *corev1.ConfigMap) bool { return c.Name == name })
				if i < 0 || of[*corev1.ConfigMap](all)[i].Data["hopscope.yaml"] != string(want) {
					t.Errorf("no ConfigMap %s with the file of %s", name, folder)
				}
			}
			deployments := of[*appsv1.Deployment](all)
			if len(deployments) != len(tt.configs) {
				t.Errorf("%d Deployments", len(deployments))
			}
			for _, d := range deployments {
				checkPod(t, all, d.Name, d.Spec.Template, tt.configs)
				if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err != nil || !s.Matches(labels.Set(d.Spec.Template.Labels)) {
					t.Errorf("%s: its selector does not match its pods", d.Name)
				}
			}
			checkSelectors(t, all, deployments)
		})
	}
}

// checkPod looks at what the schema can't say: names that have to be there, and what a proxy
// should have.
func checkPod(t *testing.T, all []runtime.Object, name string, pod corev1.PodTemplateSpec, configs map[string]string) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && configs[v.ConfigMap.Name] == "" {
			t.Errorf("%s: there is no ConfigMap %s", name, v.ConfigMap.Name)
		}
	}
	if a := pod.Spec.ServiceAccountName; a != "" && !slices.ContainsFunc(of[*corev1.ServiceAccount](all), func(s *corev1.ServiceAccount) bool { return s.Name == a }) {
		t.Errorf("%s: there is no ServiceAccount %s", name, a)
	}
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace == nil || *grace < 40 {
		t.Errorf("%s: a drain may take 30 s, and the pod has %v", name, grace)
	}
	proxies := 0
	for i, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		ports := map[string]bool{}
		for _, p := range c.Ports {
			ports[p.Name] = true
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: container %s mounts %s, which is no volume", name, c.Name, m.Name)
			}
		}
		for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			if p == nil {
				continue
			}
			if p.HTTPGet != nil && !ports[p.HTTPGet.Port.StrVal] || p.TCPSocket != nil && !ports[p.TCPSocket.Port.StrVal] {
				t.Errorf("%s: a probe of container %s asks a port that has no name there", name, c.Name)
			}
		}
		if c.Name != "hopscope" {
			continue
		}
		proxies++
		if i < len(pod.Spec.InitContainers) && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
			t.Errorf("%s: the init container of hopscope would have to end", name)
		}
		if c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: the proxy lacks a probe or a limit of memory", name)
		}
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			t.Errorf("%s: the proxy may do more than it needs: %+v", name, s)
		}
	}
	if proxies != 1 || pod.Labels["hopscope.io/mesh"] == "" {
		t.Errorf("%s: %d proxies, labels %v: the mesh does not find it", name, proxies, pod.Labels)
	}
}

// checkSelectors wants every selector to match the pods of a Deployment, and ports by their names
// to be there.
func checkSelectors(t *testing.T, all []runtime.Object, deployments []*appsv1.Deployment) {
	t.Helper()
	matched := func(what string, s labels.Selector) {
		t.Helper()
		if !slices.ContainsFunc(deployments, func(d *appsv1.Deployment) bool { return s.Matches(labels.Set(d.Spec.Template.Labels)) }) {
			t.Errorf("%s: its selector %s matches no pod", what, s)
		}
	}
	for _, s := range of[*corev1.Service](all) {
		matched("Service "+s.Name, labels.SelectorFromSet(s.Spec.Selector))
	}
	for _, p := range of[*policyv1.PodDisruptionBudget](all) {
		s, err := metav1.LabelSelectorAsSelector(p.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		matched("PodDisruptionBudget "+p.Name, s)
	}
	for _, p := range of[*networkingv1.NetworkPolicy](all) {
		s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		matched("NetworkPolicy "+p.Name, s)
	}
	for _, m := range of[*monitoringv1.ServiceMonitor](all) {
		s, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		services := of[*corev1.Service](all)
		i := slices.IndexFunc(services, func(v *corev1.Service) bool { return s.Matches(labels.Set(v.Labels)) })
		if i < 0 || !slices.ContainsFunc(services[i].Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port }) {
			t.Errorf("ServiceMonitor %s: no Service with its labels and its port", m.Name)
		}
	}
}

// TestMonitoring wants everything that Prometheus and Grafana know to be there.
func TestMonitoring(t *testing.T) {
	all := build(t, "overlays/monitoring", true)
	if len(of[*monitoringv1.ServiceMonitor](all)) != 1 {
		t.Error("no ServiceMonitor")
	}
	if rules := of[*monitoringv1.PrometheusRule](all); len(rules) != 1 || len(rules[0].Spec.Groups) < 2 {
		t.Errorf("the rules: %+v", rules)
	}
}

// TestGenerated compares what is there with what make generate writes.
func TestGenerated(t *testing.T) {
	files, err := generated(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, monitoring, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is out of date: run make generate and commit it (%v)", name, err)
		}
	}
}
