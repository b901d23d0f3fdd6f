"""Several sources of annotations, and paths with none."""

import json

import pytest


@pytest.mark.parametrize(
  "categories",
  [
    [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
    [{"id": 4, "name": "cat"}],
  ],
)
def test_sources_that_disagree_are_refused(annotated_set, read, tmp_path, categories):
  annotated_set.write(["a.jpg"])
  other = tmp_path / "other.json"
  content = {**annotated_set.content, "categories": categories}
  other.write_text(json.dumps(content))
  with pytest.raises(
    ValueError, match=r"sources that agree about category.*other\.json"
  ):
    read({}, {"annotations": other, "split": "eval"})


@pytest.mark.parametrize("name", ["Cat", " cat", "CAT"])
def test_sources_that_spell_a_category_otherwise_are_refused(
  annotated_set, read, tmp_path, name
):
  annotated_set.write(["a.jpg"])
  other = tmp_path / "other.json"
  categories = [{"id": 50, "name": name}]
  other.write_text(json.dumps({**annotated_set.content, "categories": categories}))
  with pytest.raises(ValueError, match=r"spell a category alike \(\['cat'\] in .*5?"):
    read({}, {"annotations": other})


def test_one_source_may_mean_letters_of_both_cases(annotated_set, read):
  annotated_set.write(["a.jpg"])
  letters = [{"id": number, "name": name} for number, name in enumerate("aAbB", 1)]
  annotated_set.content["categories"] = letters
  annotated_set.save()
  _, _, categories = read()
  assert categories.names == ("a", "A", "b", "B")


def test_sources_add_their_categories(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  other = tmp_path / "other.json"
  categories = [{"id": 90, "name": "gnu"}, {"id": 3, "name": "cat"}]
  other.write_text(json.dumps({**annotated_set.content, "categories": categories}))
  _, _, united = read({}, {"annotations": other})
  assert dict(zip(united.ids, united.names)) == {3: "cat", 7: "dog", 90: "gnu"}


@pytest.mark.parametrize("kind", ["images", "annotations", "only"])
def test_a_path_with_nothing_is_the_callers_mistake(
  annotated_set, read, tmp_path, kind
):
  annotated_set.write(["a.jpg"])
  with pytest.raises(ValueError, match=rf"path with files \({kind}\).*nowhere"):
    read({kind: tmp_path / "nowhere"})


def test_a_folder_without_xml_is_no_annotations(annotated_set, read):
  annotated_set.write(["a.jpg", "b.jpg"])
  with pytest.raises(ValueError, match="folder of Pascal VOC XML"):
    read({"annotations": annotated_set.images})


def test_a_file_as_the_images_folder_is_refused(annotated_set, read):
  annotated_set.write(["a.jpg"])
  with pytest.raises(ValueError, match="the folder of the images, and not a file"):
    read({"images": annotated_set.images / "a.jpg"})
