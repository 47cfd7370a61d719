"""State dicts of mixfacenets's networks give those networks' embeddings in ours."""

import pytest
from torch_states import check_embeddings, networks


@pytest.mark.parametrize("name", networks("mixfacenets"))
def test_embeddings_of_the_published_structure(state, name):
    check_embeddings(state, name)
