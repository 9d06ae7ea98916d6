//! Refused file operations as exact events.

use std::fs;

use super::*;

fn traced(all: bool) -> Scene {
    let mut scene = Scene::new(Tier::Landlock);
    scene.filter.files.trace_writes = true;
    scene.filter.files.trace_reads = all;
    scene
}

#[test]
fn refused_operations_are_recorded_with_the_option_that_opens() {
    let scene = traced(true);
    let outside = tempfile::tempdir().unwrap();
    let other = outside.path().canonicalize().unwrap();
    fs::write(other.join("there"), "text").unwrap();
    let (_, denials) = scene.run(|| {
        fs::write(scene.path("mine"), "text").unwrap();
        fs::read(scene.path("mine")).unwrap();
        fs::read_to_string(other.join("there")).unwrap();
        fs::write(other.join("new"), "text").unwrap();
        fs::create_dir(other.join("directory")).unwrap();
        fs::rename(scene.path("mine"), other.join("mine")).unwrap();
        fs::remove_file(other.join("new")).unwrap();
        fs::read("/usr/bin/env").unwrap();
        fs::metadata(other.join("there")).unwrap();
        assert!(fs::read(scene.path("nothing")).is_err());
    });
    let other = other.display();
    assert_eq!(
        lines(&denials),
        [
            format!("Files read {other}/there"),
            format!("Files write {other}/new"),
            format!("Files create {other}/directory"),
            format!("Files rename {other}/mine"),
            format!("Files delete {other}/new"),
        ]
    );
    let options: Vec<_> = denials.iter().map(|denial| denial.suggestion.clone().unwrap_or_default()).collect();
    assert_eq!(options[0], format!("--read {other}/there"));
    assert_eq!(options[1], format!("--write {other}"));
}

#[test]
fn reads_are_recorded_only_when_asked_for() {
    let scene = traced(false);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("there"), "text").unwrap();
    let (_, denials) = scene.run(|| fs::read(outside.path().join("there")).unwrap());
    assert_eq!(lines(&denials), Vec::<String>::new());
}

#[test]
fn rules_are_named() {
    let mut scene = traced(true);
    scene.context.explanations.denied = vec!["**/.env".into()];
    scene.context.explanations.protected = vec!["**/.git/hooks/**".into()];
    fs::create_dir_all(scene.path(".git/hooks")).unwrap();
    fs::write(scene.path(".env"), "secret").unwrap();
    scene.context.explanations.readable.extend([scene.path(".git/hooks"), scene.path(".env")]);
    let (_, denials) = scene.run(|| {
        fs::write(scene.path(".git/hooks/pre-commit"), "x").unwrap();
        fs::write(scene.path(".env"), "x").unwrap();
    });
    assert_eq!(
        denials.iter().map(|denial| denial.rule.clone()).collect::<Vec<_>>(),
        [Some("**/.git/hooks/**".to_owned()), Some("**/.env".to_owned())]
    );
    assert_eq!(denials[0].area, Area::Protected);
}
