"""State dicts of arcface_torch's networks give those networks' embeddings in ours."""

import pytest
from torch_states import check_embeddings, networks


@pytest.mark.parametrize("name", networks("arcface_torch"))
def test_embeddings_of_the_published_structure(state, name):
    check_embeddings(state, name)
